"""Training runs: a process of its own that reads a job and leaves metrics, a checkpoint and a result.

`folder.py` (read it first) is the folder and all that a watcher needs, with the standard library alone;
`job.py` is what a run is asked to do; `run.py` is the process; `dpo.py` trains with TRL; `losses.py` and
`evaluation.py` hold the formulas. Knows no Django.
"""
