"""Use cases that write: each function is one step in one transaction, or the handler of a kind of work item."""
