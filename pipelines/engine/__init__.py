"""Passes of a language model: hidden sums, log-probabilities, next-token logits.

Needs the machine-learning extra (torch, transformers); knows no Django and no Celery. `folder.py` alone needs
only the standard library: it inspects and fingerprints a model's folder. Read `tokens.py` first, then
`passes.py`.
"""
