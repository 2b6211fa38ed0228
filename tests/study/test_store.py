"""Stored results: what finds them, what is read back, and what a broken or hostile file does."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longsurv as ls
from longsurv import priors
from longsurv.design import Residual
from longsurv.files import write_whole
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel, Linear
from longsurv.study import store as store_module
from longsurv.study.refit import stored_fit, stored_sample
from longsurv.study.store import FitStore, environment, fingerprint

FRAME = pd.DataFrame(
    {"id": ["a", "b", "c"], "x": [1.0, np.nan, 3.0], "n": [1, 2, 3],
     "arm": pd.Categorical(["u", "v", "u"], categories=["u", "v"])}
)  # fmt: skip
KEY = "0" * 64


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npz"))


@pytest.mark.parametrize(
    "other",
    [
        FRAME.assign(arm=FRAME["arm"].cat.reorder_categories(["v", "u"])),
        FRAME.assign(arm=FRAME["arm"].cat.as_ordered()),
        FRAME.assign(n=FRAME["n"].astype(float)),
        FRAME.assign(n=FRAME["n"].astype("int32")),
        FRAME.assign(x=FRAME["x"].fillna(0.0)),
        FRAME.assign(id=["a", "b", "C"]),
        FRAME.assign(id=["ab", "", "c"]),
        FRAME.rename(columns={"x": "z"}),
        FRAME.iloc[::-1],
        FRAME.set_axis([0, 1, 5]),
        FRAME.iloc[:2],
        FRAME[["x", "id", "n", "arm"]],
    ],
)
def test_tables_that_differ_in_any_way_have_other_fingerprints(other: pd.DataFrame) -> None:
    assert fingerprint(other) != fingerprint(FRAME)
    assert fingerprint(FRAME.copy()) == fingerprint(FRAME)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(PLAIN, PLAIN)
def test_different_values_have_different_fingerprints(one: object, two: object) -> None:
    same = fingerprint(one) == fingerprint(two)
    assert same == (repr(one) == repr(two))


def test_a_model_is_found_by_everything_it_is_made_of() -> None:
    spec = LMM("x ~ n + (1 | id)", FRAME)
    keys = {
        fingerprint("sample", s, options)
        for s, options in [
            (spec, {}),
            (LMM("x ~ n + (1 | arm)", FRAME), {}),
            (replace(spec, residual=Residual("exponential", "n", "id")), {}),
            (spec, {"seed": 2}),
            (spec, {"priors": {"n": priors.Normal(0, 1)}}),
            (spec, {"priors": {"n": priors.Normal(0, 2)}}),
            (spec, {"priors": {"n": priors.StudentT(3, 0, 1)}}),
        ]
    }
    assert len(keys) == 7
    _ = spec.formula, vars(spec)
    assert fingerprint("sample", LMM("x ~ n + (1 | id)", FRAME), {}) in keys


def test_what_has_no_value_cannot_be_part_of_a_key() -> None:
    with pytest.raises(TypeError, match="function"):
        fingerprint({"f": lambda: 1})
    with pytest.raises(TypeError, match="object"):
        fingerprint([object()])


def test_another_version_or_library_is_another_environment(monkeypatch) -> None:
    now = environment()
    assert {"longsurv", "numpy", "nutpie", "code", "python"} <= set(now)
    environment.cache_clear()
    monkeypatch.setattr(store_module, "version", lambda _: "0")
    assert environment() != now
    monkeypatch.undo()
    environment.cache_clear()
    monkeypatch.setattr(store_module, "__version__", "0.0.0.dev1")
    assert environment() != now
    monkeypatch.undo()
    environment.cache_clear()
    assert environment() == now


def test_plain_values_come_back_as_they_were(tmp_path: Path) -> None:
    value = {
        "numbers": (1, 2.5, np.inf, -np.inf, True, None, np.float64(0.1), np.int64(7)),
        "text": ["\N{GREEK SMALL LETTER ALPHA}", "", "<script>", "\ud800"],
        "array": np.arange(6.0).reshape(2, 3),
        "empty": np.zeros((0, 3), dtype=np.int32),
        "table": pd.DataFrame({"a": [1, 2], "b": [0.1, np.nan], "c": ["x", None]}),
    }
    FitStore(tmp_path).get_or_compute(KEY, "values", lambda: value)
    found = FitStore(tmp_path).get(KEY, "values")
    assert found is not None and found.reused
    assert found.value["numbers"] == value["numbers"]
    assert found.value["text"] == value["text"]
    for name in ("array", "empty"):
        np.testing.assert_array_equal(found.value[name], value[name], strict=True)
    pd.testing.assert_frame_equal(found.value["table"], value["table"])


@pytest.mark.parametrize(
    "value",
    [object(), np.array([object()]), {1, 2}, pd.DataFrame({"a": pd.Categorical(["u"])})],
)
def test_what_would_need_pickle_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        FitStore(tmp_path).get_or_compute(KEY, "odd", lambda: value)
    assert not list(tmp_path.glob("*.npz"))
    assert not list(tmp_path.glob(".unfinished*"))


def test_a_value_is_computed_once_and_remembers_how_long_it_took(tmp_path: Path) -> None:
    calls = []
    for _ in range(3):
        kept = FitStore(tmp_path).get_or_compute(KEY, "one", lambda: calls.append(1) or 7)
        assert kept.value == 7
    assert calls == [1]
    again = FitStore(tmp_path)
    first = again.get(KEY, "one")
    assert first is not None and (again.reused, again.computed) == (1, 0)
    other = FitStore(tmp_path).get("1" * 64, "two")
    assert other is None


def test_fresh_computes_again_but_not_twice(tmp_path: Path) -> None:
    FitStore(tmp_path).get_or_compute(KEY, "one", lambda: 1)
    fresh = FitStore(tmp_path, fresh=True)
    assert fresh.get_or_compute(KEY, "one", lambda: 2).value == 2
    assert fresh.get_or_compute(KEY, "one", lambda: 3).value == 2
    assert FitStore(tmp_path).get_or_compute(KEY, "one", lambda: 4).value == 2


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FitStore(None)
    assert [store.get_or_compute(KEY, "one", lambda v=v: v).value for v in (1, 2)] == [1, 2]
    assert not list(tmp_path.iterdir())


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _bit_flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))


def _pickled(path: Path) -> None:
    np.savez(path, entry=np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _without_entry(path: Path) -> None:
    np.savez(path, other=np.zeros(3))


def _another_key(path: Path) -> None:
    FitStore(path.parent).get_or_compute("1" * 64, "other", lambda: 5)
    (path.parent / ("1" * 64 + ".npz")).replace(path)


def _unknown_record(path: Path) -> None:
    text = f'{{"key": "{KEY}", "seconds": 1, "value": {{"record": "Popen", "fields": {{}}}}}}'
    np.savez(path, entry=np.frombuffer(text.encode(), dtype=np.uint8))


@pytest.mark.parametrize(
    "spoil",
    [
        _truncated, _bit_flipped, _pickled, _without_entry, _another_key, _unknown_record,
        lambda path: path.write_bytes(b""), lambda path: path.write_text("not a zip"),
    ],
)  # fmt: skip
def test_a_broken_entry_is_made_again_with_a_message(tmp_path: Path, spoil) -> None:
    FitStore(tmp_path).get_or_compute(KEY, "CRP", lambda: np.arange(1000.0))
    (path,) = entries(tmp_path)
    spoil(path)
    said: list[str] = []
    kept = FitStore(tmp_path, tell=said.append).get_or_compute(KEY, "CRP", lambda: 8)
    assert kept.value == 8 and not kept.reused
    assert len(said) == 1 and said[0].startswith("CRP: the stored result")
    mended = FitStore(tmp_path).get(KEY, "CRP")
    assert mended is not None and mended.value == 8


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("before")

    def stop(file) -> None:
        file.write(b"half of")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(target, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert target.read_text() == "before"
    write_whole(target, lambda file: file.write(b"after"))
    assert target.read_text() == "after"


def test_what_a_killed_run_left_half_written_is_not_read(tmp_path: Path) -> None:
    FitStore(tmp_path).get_or_compute(KEY, "one", lambda: 1)
    (path,) = entries(tmp_path)
    old, new = tmp_path / ".unfinished-0123", tmp_path / ".unfinished-4567"
    for left in (old, new):
        left.write_bytes(path.read_bytes()[:100])
    os.utime(old, (0, 0))
    path.unlink()
    assert FitStore(tmp_path).get(KEY, "one") is None
    FitStore(tmp_path).get_or_compute(KEY, "one", lambda: 1)
    assert not old.exists()
    assert new.exists(), "another run may be writing it"


def test_a_folder_that_cannot_be_made_is_told_once_and_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    store = FitStore(tmp_path / "file" / "below", tell=said.append)
    assert store.get_or_compute(KEY, "one", lambda: 1).value == 1
    assert store.get_or_compute(KEY, "one", lambda: 2).value == 2
    assert len(said) == 1 and "cannot be stored" in said[0]


def test_results_do_not_get_into_a_repository(tmp_path: Path) -> None:
    FitStore(tmp_path / "fits").get_or_compute(KEY, "one", lambda: 1)
    assert (tmp_path / "fits" / ".gitignore").read_text() == "*\n"


def _pbc(table, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    visits = table("pbc")
    visits = visits[visits["id"].isin(visits["id"].unique()[:n])].reset_index(drop=True)
    patients = visits.drop_duplicates("id").reset_index(drop=True)
    return visits, patients.assign(died=(patients["status"] == "dead").astype(int))


def _specs(table) -> dict[str, tuple[object, dict, dict]]:
    """Every kind of model there is: specification, options of fit, options of sample."""
    visits, patients = _pbc(table, 60)
    growth = LMM("log(bili) ~ year * drug + (1 | id)", visits)
    death = CoxPH("Surv(years, died) ~ drug + age", patients)
    separated = patients.assign(z=patients["died"] * 1.0)
    high = visits.assign(high=(visits["bili"] > 2).astype(int))
    few = {"draws": 60, "tune": 100, "chains": 2, "seed": 3}
    return {
        "intercept": (growth, {}, few),
        "maximum likelihood": (growth, {"method": "ML", "df": "normal"}, few | {"eta": 3.0}),
        "slope": (LMM("log(bili) ~ year * drug + (year | id)", visits), {"df": "satterthwaite"},
                  few),
        "uncorrelated": (LMM("log(bili) ~ year * drug + (year || id)", visits), {}, few),
        "residuals": (LMM("log(bili) ~ year * drug + (1 | id)", visits,
                          Residual("exponential", "year", "id")), {}, few),
        "cox": (death, {"intervals": "profile"},
                few | {"priors": {"drug": priors.TREATMENT["sceptical"]}}),
        "firth": (death, {"penalty": "firth"}, few),
        "separated": (CoxPH("Surv(years, died) ~ z", separated), {}, few),
        "hazard": (Hazard("Surv(years, died) ~ drug + age", patients), {"intervals": "profile"},
                   few),
        "smoothed": (Hazard("Surv(years, died) ~ drug", patients), {"smoothing": 0.5},
                     few | {"smoothing": 0.5}),
        "hazard, separated": (Hazard("Surv(years, died) ~ z", separated, "weibull"), {}, few),
        "binary": (GLMM("high ~ year + drug + (1 | id)", high), {}, few),
        "joint": (JointModel(growth, death, time="year"), {}, few),
    }  # fmt: skip


NAMES = ["intercept", "maximum likelihood", "slope", "uncorrelated", "residuals", "cox", "firth",
         "separated", "hazard", "smoothed", "hazard, separated", "binary", "joint"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_stored_answer_is_the_answer(table, tmp_path: Path, name: str) -> None:
    spec, fitting, sampling = _specs(table)[name]
    for stored, options in ((stored_fit, fitting), (stored_sample, sampling)):
        first = stored(FitStore(tmp_path), spec, options)
        assert not first.reused
        store = FitStore(tmp_path)
        # A specification of its own, so that nothing cached on the first one can help.
        again = stored(store, _specs(table)[name][0], options)
        assert again.reused and store.computed == 0
        assert again.seconds == first.seconds
        one, two = first.value, again.value
        assert type(one) is type(two)
        pd.testing.assert_frame_equal(
            one.tidy(component="all"), two.tidy(component="all"), check_exact=True
        )
        assert repr(one) == repr(two)
        assert (one.method, one.flags) == (two.method, two.flags)
        pd.testing.assert_frame_equal(one.glance(), two.glance(), check_exact=True)
        assert one.diagnose().words == two.diagnose().words
        if stored is stored_sample:
            assert set(one.samples) == set(two.samples)
            for group in ("posterior", "log_likelihood", "log_prior", "sample_stats"):
                assert one.idata[group].to_dataset().equals(two.idata[group].to_dataset())
    assert all(zipfile.is_zipfile(path) for path in entries(tmp_path))
    assert len(entries(tmp_path)) == 2


def test_a_stored_linear_model_is_the_model(table, tmp_path: Path) -> None:
    spec = Linear("age ~ drug", _pbc(table, 60)[1], "id")
    for stored, options in ((stored_fit, {}), (stored_sample, {"draws": 20, "seed": 3})):
        first, again = (stored(FitStore(tmp_path), spec, options) for _ in range(2))
        assert again.reused and not first.reused
        pd.testing.assert_frame_equal(first.value.tidy(), again.value.tidy(), check_exact=True)
        assert first.value.flags == again.value.flags


def test_what_is_no_option_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    spec = CoxPH("Surv(t, event) ~ z", FRAME.assign(t=[1.0, 2.0, 3.0], event=1, z=[0.0, 1.0, 0.5]))
    with pytest.raises(TypeError, match="penalti"):
        stored_fit(FitStore(tmp_path), spec, {"penalti": "firth"})
    assert not tmp_path.exists() or not list(tmp_path.iterdir())


def test_a_model_nobody_can_put_together_again_is_fitted_every_time(tmp_path: Path) -> None:
    class Odd:
        formula = "odd"
        calls = 0

        def fit(self) -> int:
            self.calls += 1
            return self.calls

    odd = Odd()
    assert [stored_fit(FitStore(tmp_path), odd).value for _ in range(2)] == [1, 2]
    assert not list(tmp_path.iterdir())


def test_a_model_with_a_design_put_in_its_place_is_not_taken_for_its_original(
    tmp_path: Path,
) -> None:
    data = pd.DataFrame({"t": [1.0, 2, 3, 4, 5, 6], "event": [1, 1, 0, 1, 1, 1],
                         "x": [0.0, 1, 1, 0, 1, 0]})  # fmt: skip
    spec, store = CoxPH("Surv(t, event) ~ x", data), FitStore(tmp_path)
    later = spec.with_design(replace(spec.design, exit=spec.design.exit[[3, 5, 0, 1, 4, 2]]))
    with pytest.raises(TypeError, match="no key"):
        fingerprint("fit", later)
    first, other = (stored_fit(store, one).value.llf for one in (spec, later))
    assert other == later.fit().llf != first
    assert stored_fit(store, later).value.llf == other
    assert len(entries(tmp_path)) == 1
    assert stored_fit(store, later.with_data(data)).reused  # of data again


def test_an_answer_that_fails_is_not_stored(tmp_path: Path) -> None:
    data = FRAME.assign(event=0, t=[1.0, 2.0, 3.0])
    for _ in range(2):
        with pytest.raises(ls.errors.LongsurvError):
            stored_fit(FitStore(tmp_path), CoxPH("Surv(t, event) ~ nobody", data))
    assert not entries(tmp_path)
