"""The command for files of votes: read, choose a method, write answers and one page.

`reading.py` (lines to arrays), `answers.py` (one method's answer), `choosing.py` (by held-out votes), `measures.py`
(against gold), `writing.py` and `page.py` (files), `command.py` (options, exit codes). No Django, database or torch.
"""
