"""The demo's small world: texts with a known truth, a model trained on the spot, a judge and annotators who err.

`grammar` holds the texts and the truth, `base` and `judge` make the two models, `sampling` draws from them,
`annotators` votes, `evaluation` measures, `cache` keeps what was trained. Read `grammar` first. Nothing here
knows the platform, and nothing of the platform imports it.
"""
