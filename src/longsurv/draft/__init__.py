"""Drafting a study from somebody's tables: `longsurv init` and `ls.draft`.

One question a file: `tables` and `header` read, `cells`, `clocks`, `units` and `names` tell what a
cell or a name is, `patient`, `treatment`, `outcome`, `status`, `follow_up`, `series`, `layout` and
`measured` guess, each guess with its reason; `tidy` reshapes, `studyfile` writes. Nothing is asked,
nothing overwritten.
"""

from longsurv.draft.drafting import Draft, draft, draft_files
from longsurv.draft.guess import Guess

__all__ = ["Draft", "Guess", "draft", "draft_files"]
