"""What must hold of the assignment queue after anything at all: each is one query that finds the exceptions."""

from __future__ import annotations

from django.db import connection

INVARIANTS = {
    "done is the number of current counted annotations": """
        SELECT d.comparison_id, d.done FROM annotation_demand d WHERE d.done <> (
          SELECT count(*) FROM annotation_annotation n JOIN annotation_assignment a ON a.id = n.assignment_id
          WHERE n.comparison_id = d.comparison_id AND n.state = 'current' AND a.counted AND n.outcome <> 'cannot_judge')""",
    "leased is the number of counted assignments that hold a place": """
        SELECT d.comparison_id, d.leased FROM annotation_demand d WHERE d.leased <> (
          SELECT count(*) FROM annotation_assignment a
          WHERE a.comparison_id = d.comparison_id AND a.counted AND a.state IN ('leased', 'offered'))""",
    "never over what is wanted but by a promise": """
        SELECT comparison_id FROM annotation_demand WHERE done + leased > greatest(wanted, promised)""",
    "one current annotation of a person on a comparison": """
        SELECT a.participation_id, n.comparison_id FROM annotation_annotation n
        JOIN annotation_assignment a ON a.id = n.assignment_id
        WHERE n.state = 'current' GROUP BY 1, 2, a.repeat_no HAVING count(*) > 1""",
    "every counted annotation told the outbox once": """
        SELECT n.id FROM annotation_annotation n
        LEFT JOIN annotation_outboxevent o ON o.subject_id = n.id AND o.kind = 'annotation.submitted'
        WHERE n.assignment_id IS NOT NULL AND n.state IN ('current', 'superseded', 'withdrawn')
        GROUP BY n.id HAVING count(o.id) <> 1""",
}


def broken_invariants(*, outbox_consumed: bool = False) -> dict[str, list[tuple[object, ...]]]:
    """The invariants that do not hold, with the rows that break them. A consumed outbox cannot be counted."""
    broken = {}
    with connection.cursor() as cursor:
        for name, statement in INVARIANTS.items():
            if outbox_consumed and "outbox" in name:
                continue
            cursor.execute(statement)
            if rows := cursor.fetchall():
                broken[name] = rows
    return broken
