"""The command for files of votes: read, choose a method, write answers and one page.

`reading.py` (lines to votes, with `columns.py`, `lines.py` and `names.py`), `ballot.py` (votes to arrays), `gold.py`,
`answers.py` (one method's answer), `choosing.py` (by held-out votes), `measures.py` (against gold), `writing.py` and
`page.py` (files), `command.py` (options, exit codes). No Django, database or torch.
"""
