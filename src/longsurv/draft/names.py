"""Names of columns: one spelling to compare, and the words of several languages for each role."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=20000)
def plain(name: str) -> str:
    """A name in lower case, without accents, its words apart: "Pat_ID" is "pat id"."""
    text = unicodedata.normalize("NFKC", str(name))
    text = _CAMEL.sub(" ", text).casefold().replace("ß", "ss")
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    text = unicodedata.normalize("NFC", text)
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


# A word is looked for whole in Latin script unless it ends in "*" (a German compound may begin
# with it, or with "*" before it, end with it), anywhere in Japanese. "^" is a whole name.
WORDS: dict[str, tuple[str, ...]] = {
    "patient": (
        "patient", "patients", "patientid", "patient id", "pat id", "patid", "patnr", "pat nr",
        "patientennr", "patienten nr", "patientennummer", "patienten id", "patient no", "pid",
        "subject", "subject id", "subjectid", "subjid", "subj", "usubjid", "mrn", "case", "case no",
        "case id", "case number", "fall", "fallnummer", "fall nr", "fallnr", "participant",
        "participant id", "record id", "studienid", "studien id", "study id", "screening no", "^id",
        "^num", "^pt", "^nr", "^no", "^ids", "ident*", "dossier", "ipp", "nip", "numero patient",
        "n patient", "患者", "症例", "被験者", "hadm id", "stay id", "icustay id", "pseudonym",
        "patient number", "pt id", "ptid", "subject number", "patient code",
        "paciente", "pacientes", "paziente", "pazienti", "nhc", "病人", "病例", "病历号", "住院号",
    ),
    "treatment": (
        "treatment", "treat", "trt", "arm", "group", "grp", "drug", "therapy", "rx", "tx",
        "treatment group", "intervention", "allocation", "assigned", "randomized to", "exposure",
        "behandlung*", "gruppe", "*gruppe", "therapie", "therapie*", "studienarm", "medikament",
        "traitement", "groupe", "bras", "allocation", "治療", "投与", "群", "薬剤", "ivig",
        "regimen", "cohort", "randomisation", "randomization", "treated", "study drug",
        "tratamiento", "trattamento", "tratamento", "behandeling", "grupo", "gruppo", "groep",
        "brazo", "治疗", "分组", "组别", "用药",
    ),
    "exit": (
        "followup", "follow up", "fu", "futime", "fu time", "fu days", "fuyrs", "fudays",
        "followup time", "surv time", "survtime", "survival", "survival time", "time to event",
        "time to death", "days to death", "exit", "stop", "tstop", "los", "length of stay",
        "observation", "beobachtung*", "nachbeobachtung*", "uberleben*", "suivi", "survie",
        "duree", "観察期間", "生存期間", "追跡", "生存日数", "観察日数", "time", "zeit", "temps",
        "days", "tage", "jours", "months", "years", "censor time", "end time", "days followed",
        "verweildauer", "os", "pfs", "dauer", "follow", "ttd", "tte", "在院日数", "delai", "dtime",
        "seguimiento", "seguimento", "supervivencia", "sopravvivenza", "sobrevida", "dias",
        "giorni", "dagen", "tiempo", "tempo", "随访", "住院天数", "生存时间",
    ),
    "status": (
        "status", "death", "died", "dead", "event", "deceased", "mortality", "outcome", "vital",
        "vital status", "died in hospital", "hospital death", "exitus", "verstorben", "tod",
        "gestorben", "*mortalitat", "*sterblichkeit", "vitalstatus", "deces", "decede", "mort",
        "statut", "evenement", "devenir", "死亡", "転帰", "生死", "生存", "expire flag", "cens",
        "censor", "censored", "cens ind", "alive", "survived", "survivor", "uberlebt", "fate",
        "ausgang", "hospital expire flag", "censoring", "vivant", "last status", "28d mortality",
        "fustat", "^delta",
        "estado", "stato", "muerte", "fallecido", "fallecimiento", "decesso", "deceduto",
        "overlijden", "overleden", "obito", "desfecho", "desenlace", "esito", "issue", "结局",
        "预后", "存活",
    ),
    "death date": (
        "death", "died", "dod", "date of death", "deathtime", "*tod", "todesdatum", "tod*",
        "sterbe*", "verstorben", "deces", "死亡", "dead",
        "muerte", "fallecimiento", "defuncion", "decesso", "morte", "overlijden", "obito",
    ),
    "end date": (
        "last", "discharge", "discharged", "dischtime", "end", "contact", "follow up", "followup",
        "fu", "last seen", "exit", "outtime", "censor", "censored", "entlassung*", "entlass*",
        "letzter", "letzte", "ende", "*ende", "fin", "sortie", "dernier", "derniere",
        "nouvelles", "退院", "退室", "最終", "終了", "observation end", "lost", "kontrolle",
        "suivi", "nachbeobachtung*",
        "alta", "dimissione", "ontslag", "ultimo", "ultima", "laatste", "出院", "末次",
    ),
    "discharge": (
        "discharge", "discharged", "dischtime", "outtime", "entlassung*", "entlass*", "sortie",
        "退院", "退室",
        "alta", "dimissione", "ontslag", "出院",
    ),
    "zero date": (
        "admission", "admitted", "admit", "admittime", "intime", "inclusion", "included",
        "enrolment", "enrollment", "enrolled", "registration", "randomisation", "randomization",
        "randomised", "randomized", "random", "baseline", "start", "entry", "icu in", "onset",
        "aufnahme*", "*aufnahme", "einschluss*", "randomisierung*", "beginn", "*beginn",
        "admission*", "entree", "debut", "入院", "入室", "登録", "割付", "開始", "diagnosis",
        "surgery", "operation", "transplant", "index", "dx", "diagnose*", "t0", "day0", "day 0",
        "ingreso", "ricovero", "opname", "admissao", "internacao", "inclusie", "randomizzazione",
    ),
    "birth": ("birth", "dob", "born", "geburt*", "naissance", "生年月日", "birthdate", "geb*",
        "nacimiento", "nascita", "nascimento", "出生",
    ),
    "visit": (
        "day", "days", "time", "visit", "obstime", "obs time", "week", "month", "hour", "hours",
        "date", "when", "collected", "collection", "sample", "sampled", "sampling", "measured",
        "charttime", "taken", "drawn", "measurement", "assessment", "visit day", "tag", "*tag",
        "tage", "zeit", "*zeit", "zeitpunkt", "*zeitpunkt", "datum", "*datum", "abnahme*", "probe*",
        "messung*", "mess*", "visite", "woche", "stunde", "stunden", "jour", "jours", "heure",
        "heures", "temps", "prelevement", "semaine", "mois", "病日", "日", "測定", "採血", "検査日",
        "時間", "経過", "timepoint", "year", "years", "since", "offset", "relative", "specimen",
        "observation", "datetime", "labtime", "lab date", "result time", "study day", "icu day",
        "fecha", "dia", "dias", "giorno", "giorni", "dag", "dagen", "muestra", "prelievo", "日期",
        "时间", "采样", "采血", "检测", "天",
    ),
    "marker": (
        "marker", "test", "parameter", "analyte", "lab", "labtest", "lab test", "item", "measure",
        "variable", "biomarker", "assay", "component", "test name", "label", "analysis", "param",
        "analyse", "messgrosse", "laborparameter", "untersuchung", "marqueur",
        "examen", "parametre", "検査項目", "項目", "検査名", "マーカー", "paramcd",
        "testcd", "lbtestcd", "itemid", "item id", "variableid", "variable id", "test id", "testid",
        "concept id", "parameter id", "analyte id",
        "bezeichnung", "kurzbezeichnung", "name", "code", "lbtest", "検査", "labor",
        "parametro", "prueba", "analisi", "项目", "指标",
    ),
    "value": (
        "value", "result", "val", "valuenum", "wert", "messwert", "ergebnis", "*wert", "valeur",
        "resultat", "値", "結果", "検査値", "測定値", "aval", "lbstresn", "lborres", "reading",
        "measurement", "y", "numeric result", "concentration", "level", "befund",
        "valor", "valore", "resultado", "risultato", "waarde", "uitslag", "结果",
    ),
    "unit": ("unit", "units", "uom", "einheit", "unite", "unites", "単位", "valueuom", "lborresu",
        "unidad", "unita", "eenheid", "单位",
    ),
    "sex": ("sex", "gender", "geschlecht", "sexe", "性別", "male", "female", "genre", "men",
            "mannlich", "weiblich",
        "sexo", "sesso", "geslacht", "性别",
    ),
    "age": ("age", "alter", "年齢", "age years", "ageyears",
        "edad", "eta", "idade", "leeftijd", "年龄",
    ),
    "row": ("rownames", "row", "rowid", "row id", "index", "unnamed*", "line", "zeile", "ligne",
            "lfd nr", "^no", "^nr", "^x", "obs no", "行", "no", "seqnum", "seq", "number"),
    "site": ("site", "center", "centre", "zentrum", "hospital", "clinic", "klinik", "ward",
             "station", "施設", "病棟", "hopital", "service", "hospital id", "site id", "病院",
             "inst", "instit", "institution",
        "医院", "科室", "ziekenhuis", "ospedale",
    ),
    "entry": ("entry", "tstart", "start", "left truncation", "delayed entry"),
    "stop": ("stop", "tstop", "end"),
}  # fmt: skip


@lru_cache(maxsize=50000)
def says(name: str, role: str) -> int:
    """How strongly a name speaks of a role: 3 the whole name, 2 a word of it, 1 within, 0 not."""
    text = plain(name)
    words = text.split()
    joined = text.replace(" ", "")
    best = 0
    for pattern in WORDS[role]:
        if pattern.startswith("^"):
            if text == pattern[1:]:
                return 3
            continue
        word = pattern.strip("*")
        if text == word or joined == word.replace(" ", ""):
            return 3
        if (
            (pattern.endswith("*") and any(w.startswith(word) for w in words))
            or (pattern.startswith("*") and any(w.endswith(word) for w in words))
            or (f" {word} " in f" {text} " and len(word) > 1)
            or (not word.isascii() and word in text)
        ):
            best = max(best, 2)
    return best


_UNITS = (
    (
        "hours",
        r"\b(hora|horas|ora|ore|uur|uren|h|hr|hrs|hour|hours|std|stunde|stunden|heure|heures)\b|時間|小时",
    ),
    ("minutes", r"\b(minutos|minuti|minuten|min|mins|minute|minutes|minuten)\b|分後"),
    (
        "weeks",
        r"\b(semanas|settimane|weken|w|wk|wks|week|weeks|woche|wochen|semaine|semaines)\b|週",
    ),
    (
        "months",
        r"\b(meses|mesi|maanden|mo|mos|mth|month|months|monat|monate|mois)\b|[かヶケカ]月|月数",
    ),
    ("years", r"\b(anos|anni|jaren|y|yr|yrs|year|years|jahr|jahre|annee|annees|ans)\b|年数|fuyrs"),
    (
        "days",
        r"\b(dia|dias|giorno|giorni|dag|dagen|d|day|days|tag|tage|tagen|jour|jours|pod)\b|日|天|beobachtungstage|fudays",
    ),
)
DAYS = {"minutes": 1 / 1440, "hours": 1 / 24, "days": 1.0, "weeks": 7.0,
        "months": 30.4375, "years": 365.25}  # fmt: skip


def time_unit(name: str) -> str:
    """The unit of time that a name states, "" if none."""
    text = plain(name)
    for unit, pattern in _UNITS:
        if re.search(pattern, text):
            return unit
    return ""
