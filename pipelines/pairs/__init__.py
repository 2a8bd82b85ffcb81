"""From rankings, ratings and yes or no to labels of pairs and of single completions. Pure.

What lives here: what an answer says about the completions of its comparison (`answers.py`, read it first), and how much
several such answers say together (`orders.py`, `rated.py`). The models underneath are in `pipelines/labels/`. Not here:
tables and the comparisons that are made for each pair (`pipelines/services/derivation.py`).
"""
