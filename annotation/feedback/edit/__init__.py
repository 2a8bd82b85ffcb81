"""Writing or repairing the better completion; the edited text is preferred over its source."""
