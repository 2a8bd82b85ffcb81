"""What must hold of the assignment queue after anything at all: each is one query that finds the exceptions."""

from __future__ import annotations

from django.db import connection

INVARIANTS = {
    "done is the number of current counted annotations": """
        SELECT d.comparison_id, d.done FROM annotation_demand d WHERE d.done <> (
          SELECT count(*) FROM annotation_annotation n JOIN annotation_assignment a ON a.id = n.assignment_id
          WHERE n.comparison_id = d.comparison_id AND n.state = 'current' AND a.counted AND NOT n.gave_back)""",
    "leased is the number of counted assignments that hold a place": """
        SELECT d.comparison_id, d.leased FROM annotation_demand d WHERE d.leased <> (
          SELECT count(*) FROM annotation_assignment a
          WHERE a.comparison_id = d.comparison_id AND a.counted AND a.state IN ('leased', 'offered'))""",
    "never over what is wanted but by a promise": """
        SELECT comparison_id FROM annotation_demand WHERE done + leased > greatest(wanted, promised)""",
    "what is promised is what stands above wanted": """
        SELECT comparison_id FROM annotation_demand
        WHERE promised <> CASE WHEN done + leased > wanted THEN done + leased ELSE 0 END""",
    "no cursor hides an open comparison from its owner": """
        SELECT p.id, d.comparison_id FROM annotation_participation p
        JOIN annotation_project j ON j.id = p.project_id AND j.queue_version = p.cursor_version
        JOIN annotation_demand d ON d.project_id = j.id AND d.is_open AND d.reserved_for = 0
          AND d.pool >= 0 AND (d.pool, d.ord) < (p.cursor_pool, p.cursor_ord)
        WHERE NOT EXISTS (SELECT FROM annotation_assignment a
                          WHERE a.participation_id = p.id AND a.comparison_id = d.comparison_id)""",
    "what is set aside belongs to a live offer": """
        SELECT d.comparison_id, d.reserved_for FROM annotation_demand d
        WHERE d.reserved_for <> 0 AND NOT EXISTS (
          SELECT FROM annotation_offer o WHERE o.id = d.reserved_for AND o.released_at IS NULL AND o.group_id IS NOT NULL)""",
    "what is offered to a person belongs to a live offer": """
        SELECT a.id FROM annotation_assignment a LEFT JOIN annotation_offer o ON o.id = a.offer_id
        WHERE a.state = 'offered' AND (o.id IS NULL OR o.released_at IS NOT NULL)""",
    "nobody who paused or left holds anything": """
        SELECT a.id FROM annotation_assignment a JOIN annotation_participation p ON p.id = a.participation_id
        WHERE a.state IN ('leased', 'offered') AND p.state <> 'active'""",
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
