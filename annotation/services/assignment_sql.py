"""The hot statements of the assignment queue.

Lock order, which is the proof that there is no deadlock: project, participation, assignment (by id when many), flag,
demand (by comparison when many). Everything else takes only rows that nobody holds (SKIP LOCKED), and waits for one
demand row at most.

Where `next` begins to look. The places of a pool are an index range, and a person's own comparisons are left out one by
one: whoever did the first nine tenths of a million would walk past all of them each time. So each person has a cursor:
nothing before it was open and not theirs. It stays true because

- a single comparison that opens again moves to pool -1 in the same update (a trigger, so that no statement can forget
  it); that pool is short, is looked through first, and no cursor speaks of it;
- a change of many places (import, plan, new order, wanted of a batch) adds 1 to the project's `queue_version` in its own
  transaction, and a cursor of another version counts for nothing.
"""

from functools import cache

# The person's own lock, and all that a call needs to know about person and project. A statement of its own: the next one
# must take its snapshot after the wait.
PERSON = """
SELECT p.id, p.state, r.id, j.lease_seconds, j.archived_at IS NOT NULL, EXISTS (
    SELECT 1 FROM annotation_assignment a WHERE a.participation_id = p.id AND a.state IN ('expired', 'offered')),
  ARRAY(SELECT o.id FROM annotation_offer o JOIN annotation_group_members m ON m.group_id = o.group_id
        WHERE o.project_id = j.id AND o.released_at IS NULL AND m.participation_id = p.id
        ORDER BY o.due_at, o.id),
  j.queue_version, p.cursor_version = j.queue_version, p.cursor_pool, p.cursor_ord
FROM annotation_participation p
JOIN annotation_project j ON j.id = p.project_id
JOIN annotation_rater r ON r.participation_id = p.id
WHERE p.project_id = %(project)s AND p.annotator_id = %(user)s
FOR NO KEY UPDATE OF p
"""

# The same, starting from an assignment, with form and guidelines as shown (else the newest), and the answer that came
# with this key before, if the snapshot has it.
PERSON_OF_ASSIGNMENT = """
SELECT p.id, p.state, r.id, j.lease_seconds, j.archived_at IS NOT NULL, a.comparison_id, j.id, a.option_order,
  f.id, f.questions::text,
  (SELECT g.id FROM annotation_guidelinerevision g
   WHERE g.project_id = j.id AND (%(guidelines)s::bigint IS NULL OR g.id = %(guidelines)s::bigint)
   ORDER BY g.number DESC LIMIT 1),
  (SELECT k.id FROM annotation_annotation k WHERE k.rater_id = r.id AND k.submit_key = %(key)s::uuid)
FROM annotation_assignment a
JOIN annotation_participation p ON p.id = a.participation_id
JOIN annotation_project j ON j.id = p.project_id
JOIN annotation_rater r ON r.participation_id = p.id
LEFT JOIN LATERAL (
  SELECT f.id, f.questions FROM annotation_formrevision f
  WHERE f.project_id = j.id AND (%(form)s::bigint IS NULL OR f.id = %(form)s::bigint)
  ORDER BY f.number DESC LIMIT 1) f ON true
WHERE a.id = %(assignment)s AND p.annotator_id = %(user)s
  AND (%(project)s::bigint IS NULL OR p.project_id = %(project)s::bigint)
FOR NO KEY UPDATE OF p
"""

# The completions of one comparison by stored position.
TEXTS = """
SELECT t.form::text, t.body FROM annotation_comparisoncompletion pl
JOIN annotation_completion o ON o.id = pl.completion_id JOIN annotation_text t ON t.sha256 = o.text_sha256
WHERE pl.comparison_id = %(comparison)s ORDER BY pl.position
"""

HELD = """
SELECT id, token, comparison_id, option_order, lease_until FROM annotation_assignment
WHERE participation_id = %(me)s AND state = 'leased' ORDER BY id
"""

# Whether so many comparisons are open to everybody, counted no further, and from the queue's end: its beginning is where
# rows come and go, and their dead entries would be walked past.
PLENTY = """
SELECT count(*) = %(most)s FROM (
  SELECT 1 FROM annotation_demand WHERE project_id = %(project)s AND reserved_for = 0 AND is_open
  ORDER BY pool DESC, ord DESC LIMIT %(most)s) few
"""

# What this person had and lost, if a place is free; offered ones hold theirs already.
RESUME = """
WITH mine AS (
  SELECT a.id, a.comparison_id, a.state FROM annotation_assignment a
  JOIN annotation_demand d ON d.comparison_id = a.comparison_id
  WHERE a.participation_id = %(me)s AND {resumable}
  ORDER BY a.state = 'offered' DESC, a.id LIMIT %(k)s FOR NO KEY UPDATE OF a, d SKIP LOCKED
), placed AS (
  UPDATE annotation_demand d SET leased = d.leased + 1 FROM mine
  WHERE d.comparison_id = mine.comparison_id AND mine.state = 'expired' AND d.is_open RETURNING d.comparison_id
)
UPDATE annotation_assignment a SET state = 'leased', token = a.token + 1, leased_at = now(), closed_at = NULL,
  lease_until = now() + make_interval(secs => %(lease)s)
FROM mine WHERE a.id = mine.id
  AND (mine.state = 'offered' OR mine.comparison_id IN (SELECT comparison_id FROM placed))
RETURNING a.id, a.token, a.comparison_id, a.option_order, a.lease_until
"""
RESUMABLE = """(a.state = 'offered' AND NOT d.held_back
         OR a.state = 'expired' AND a.times_expired < %(most_expired)s AND d.is_open
            AND (d.reserved_for = 0 OR d.reserved_for = ANY (%(offers)s::bigint[])))"""
RESUME = RESUME.format(resumable=RESUMABLE)

# Looked up by its key for each place: OFFSET keeps the planner from reading all that a person ever had instead.
NEVER_MET = """NOT EXISTS (SELECT 1 FROM annotation_assignment a
                    WHERE a.participation_id = %(me)s AND a.comparison_id = d.comparison_id OFFSET 0)"""

# Count a place of what `pick` locked, and give it to a person: leased now, or offered. The order of two sides is a keyed
# hash of the comparison and of how often it was lent, each following pair of showings having both sides once; more
# completions are shuffled by such a hash.
LEND = """
, took AS (
  UPDATE annotation_demand d SET leased = d.leased + 1 WHERE d.comparison_id = ANY (ARRAY(SELECT comparison_id FROM pick))
  RETURNING d.comparison_id, d.pool, d.ord, d.reserved_for
), lent AS (
  -- Each by its key: of a table that was emptied the planner expects no rows, and would read it whole.
  SELECT t.*, c.size, n.times,
    c.key || uuid_send((SELECT j.split_salt FROM annotation_project j WHERE j.id = c.project_id)) AS draw
  FROM took t
  CROSS JOIN LATERAL (
    SELECT c.key, c.size, c.project_id FROM annotation_comparison c WHERE c.id = t.comparison_id LIMIT 1) c
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS times FROM annotation_assignment a WHERE a.comparison_id = t.comparison_id) n
)
INSERT INTO annotation_assignment
  (participation_id, comparison_id, repeat_no, source, counted, state, token, option_order, leased_at, lease_until,
   times_expired, closing_reason, offer_id)
SELECT %(me)s, comparison_id, 0, '{source}', true, '{state}', 1,
  CASE WHEN size = 2 THEN
    CASE (get_bit(sha256(draw || int4send(times / 2)), 0) + times) %% 2
      WHEN 0 THEN '{{0,1}}'::smallint[] ELSE '{{1,0}}'::smallint[] END
  ELSE ARRAY(SELECT place::smallint FROM generate_series(0, size - 1) place
             ORDER BY sha256(draw || int4send(times) || int4send(place))) END,
  {leased_at}, {lease_until}, 0, '', {offer}
FROM lent ORDER BY pool, ord
RETURNING id, token, comparison_id, option_order, lease_until
"""
LEASED = {
    "state": "leased",
    "leased_at": "now()",
    "lease_until": "now() + make_interval(secs => %(lease)s)",
}

STRIDE = 30  # places that a cursor may lag behind, each looked up anew by every call
LAST_POOL = 32_767

# What opened again, then from the cursor on (at pool 0 or later; another bound on `pool` beside it would become the start
# of the index scan instead). The cursor moves up in strides, so that few calls write it.
PICK = f"""
WITH express AS MATERIALIZED (
  SELECT d.comparison_id FROM annotation_demand d
  WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open AND d.pool = -1 AND {NEVER_MET}
  ORDER BY d.ord LIMIT %(k)s FOR NO KEY UPDATE OF d SKIP LOCKED
), first AS MATERIALIZED (
  SELECT d.pool, d.ord FROM annotation_demand d
  WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open
    AND (d.pool, d.ord) >= (%(cursor_pool)s::int, %(cursor_ord)s::bigint) AND {NEVER_MET}
  ORDER BY d.pool, d.ord LIMIT 1
), moved AS (
  UPDATE annotation_participation p SET cursor_version = %(version)s, cursor_pool = at.pool, cursor_ord = at.ord
  FROM (SELECT coalesce(max(pool), {LAST_POOL}) AS pool, coalesce(max(ord), 0) AS ord FROM first) at
  WHERE p.id = %(me)s AND (p.cursor_version <> %(version)s OR at.pool > p.cursor_pool OR at.ord > p.cursor_ord + {STRIDE})
), main AS MATERIALIZED (
  SELECT d.comparison_id FROM annotation_demand d
  WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open
    AND (d.pool, d.ord) >= (SELECT pool, ord FROM first) AND {NEVER_MET}
    AND (SELECT count(*) FROM express) < %(k)s
  ORDER BY d.pool, d.ord LIMIT %(k)s FOR NO KEY UPDATE OF d SKIP LOCKED
), pick AS (
  SELECT comparison_id FROM express UNION ALL SELECT comparison_id FROM main LIMIT %(k)s
)
""" + LEND.format(source="pool", offer="NULL", **LEASED)

# What was set aside for groups of this person: the offer that is due first and has something, in its own order.
PICK_RESERVED = f"""
WITH pick AS MATERIALIZED (
  SELECT d.comparison_id FROM annotation_demand d
  WHERE d.project_id = %(project)s AND d.is_open AND {NEVER_MET} AND d.reserved_for = (
      SELECT o.id FROM unnest(%(offers)s::bigint[]) WITH ORDINALITY AS o(id, place)
      WHERE EXISTS (SELECT 1 FROM annotation_demand d
                    WHERE d.project_id = %(project)s AND d.reserved_for = o.id AND d.is_open AND {NEVER_MET})
      ORDER BY o.place LIMIT 1)
  ORDER BY d.pool, d.ord LIMIT %(k)s FOR NO KEY UPDATE OF d SKIP LOCKED
)
""" + LEND.format(source="named", offer="reserved_for", **LEASED)

# One comparison that this person could have but for somebody's lock this instant.
CANDIDATE = f"""
SELECT comparison_id FROM (
  (SELECT d.comparison_id FROM annotation_assignment a JOIN annotation_demand d ON d.comparison_id = a.comparison_id
   WHERE a.participation_id = %(me)s AND {RESUMABLE} LIMIT 1)
  UNION ALL
  (SELECT d.comparison_id FROM annotation_demand d
   WHERE d.project_id = %(project)s AND d.reserved_for = ANY (%(offers)s::bigint[]) AND d.is_open AND {NEVER_MET} LIMIT 1)
  UNION ALL
  (SELECT d.comparison_id FROM annotation_demand d
   WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open AND d.pool = -1 AND {NEVER_MET} LIMIT 1)
  UNION ALL
  (SELECT d.comparison_id FROM annotation_demand d
   WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open
     AND (d.pool, d.ord) >= (%(cursor_pool)s::int, %(cursor_ord)s::bigint) AND {NEVER_MET}
   ORDER BY d.pool, d.ord LIMIT 1)
) found LIMIT 1
"""
WAIT = "SELECT 1 FROM annotation_demand WHERE comparison_id = %(comparison)s FOR NO KEY UPDATE"

# Offered to one person: `pick` in the order of the queue, of what is named or of one import.
OFFER = """
WITH pick AS MATERIALIZED (
  SELECT d.comparison_id FROM annotation_demand d JOIN annotation_comparison c ON c.id = d.comparison_id
  WHERE d.project_id = %(project)s AND d.reserved_for = 0 AND d.is_open AND {never_met}
    AND (%(comparisons)s::bigint[] IS NULL OR d.comparison_id = ANY (%(comparisons)s::bigint[]))
    AND (%(import)s::bigint IS NULL OR c.source_import_id = %(import)s::bigint)
  ORDER BY d.pool, d.ord LIMIT %(k)s FOR NO KEY UPDATE OF d SKIP LOCKED
)
"""
OFFER_TO_PERSON = OFFER.format(never_met=NEVER_MET) + LEND.format(
    source="named", state="offered", leased_at="NULL", lease_until="NULL", offer="%(offer)s"
)
OFFER_TO_GROUP = OFFER.format(never_met="true") + """
UPDATE annotation_demand d SET reserved_for = %(offer)s FROM pick WHERE d.comparison_id = pick.comparison_id
RETURNING d.comparison_id
"""

# Close the lease, count the vote, store it and tell the outbox: one statement, one snapshot. Offered again after its lease
# was taken away, it still holds its place.
SUBMIT = """
WITH a AS (
  UPDATE annotation_assignment SET state = 'submitted', lease_until = NULL, closed_at = now()
  WHERE id = %(assignment)s AND participation_id = %(me)s AND state IN ('leased', 'offered')
  RETURNING id, comparison_id, counted, option_order
), q AS (
  UPDATE annotation_demand d SET
    leased = d.leased - 1,
    done = d.done + CASE WHEN %(gives_back)s THEN 0 ELSE 1 END,
    promised = CASE WHEN %(gives_back)s AND d.done + d.leased - 1 <= d.wanted THEN 0
                    WHEN %(gives_back)s AND d.promised > 0 THEN d.done + d.leased - 1 ELSE d.promised END
  FROM a WHERE a.counted AND d.comparison_id = a.comparison_id
  RETURNING d.done
), n AS (
  INSERT INTO annotation_annotation
    (project_id, comparison_id, rater_id, assignment_id, state, outcome, vote, vote_scale, answers, form_revision_id,
     guideline_revision_id, interface_language, shown_order, submit_key, body_hash, gave_back, late, ordinal,
     active_seconds, idle_seconds, exposure, created_at)
  SELECT %(project)s, a.comparison_id, %(rater)s, a.id, 'current', %(outcome)s, %(vote)s::smallint,
    %(vote_scale)s::smallint, %(answers)s::jsonb, %(form)s::bigint, %(guidelines)s::bigint, %(language)s,
    to_jsonb(a.option_order), %(key)s::uuid, %(body_hash)s, %(gives_back)s, false, coalesce((SELECT done FROM q), 0),
    %(active)s::float8, %(idle)s::float8, %(exposure)s::jsonb, now()
  FROM a RETURNING id, ordinal
), o AS (
  INSERT INTO annotation_outboxevent (project_id, kind, subject_id, created_at)
  SELECT %(project)s, 'annotation.submitted', id, now() FROM n
)
SELECT id, ordinal FROM n
"""

HEARTBEAT = """
WITH live AS (
  SELECT a.id, j.lease_seconds FROM unnest(%(ids)s::bigint[], %(tokens)s::bigint[]) AS named(id, token)
  JOIN annotation_assignment a ON a.id = named.id AND a.token = named.token AND a.state = 'leased'
  JOIN annotation_participation p ON p.id = a.participation_id
  JOIN annotation_project j ON j.id = p.project_id
  WHERE p.annotator_id = %(user)s AND p.project_id = %(project)s
  ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE annotation_assignment a SET lease_until = now() + make_interval(secs => live.lease_seconds)
FROM live WHERE a.id = live.id AND a.state = 'leased'
RETURNING a.id, a.lease_until
"""

# Leases whose time is over, taken away under their row locks. What was offered to its holder by name is offered again
# and keeps its place, unless the offer is over or it was let go too often.
SWEEP = """
WITH due AS (
  SELECT a.id, a.times_expired + 1 < %(most_expired)s AND EXISTS (
      SELECT 1 FROM annotation_offer o WHERE o.id = a.offer_id AND o.participation_id = a.participation_id
        AND o.released_at IS NULL AND (o.due_at IS NULL OR o.due_at > now())) AS is_kept
  FROM annotation_assignment a WHERE a.state = 'leased' AND a.lease_until < now()
  ORDER BY a.comparison_id LIMIT 200 FOR NO KEY UPDATE OF a SKIP LOCKED
)
UPDATE annotation_assignment a
SET state = CASE WHEN due.is_kept THEN 'offered' ELSE 'expired' END, token = a.token + 1, lease_until = NULL,
  closed_at = now(), times_expired = a.times_expired + 1
FROM due WHERE a.id = due.id RETURNING a.comparison_id, a.counted AND NOT due.is_kept
"""

# Give `n` leased places of one comparison back; what was promised shrinks with them.
GIVE_BACK = """
UPDATE annotation_demand SET leased = leased - %(n)s,
  promised = CASE WHEN promised > 0 AND done + leased - %(n)s > wanted THEN done + leased - %(n)s ELSE 0 END
WHERE comparison_id = %(comparison)s
"""

# A counted vote became "cannot judge": it fills no place any more.
UNCOUNT = """
UPDATE annotation_demand SET done = done - 1,
  promised = CASE WHEN promised > 0 AND done + leased - 1 > wanted THEN done + leased - 1 ELSE 0 END
WHERE comparison_id = %(comparison)s
"""

# A vote without a lease is counted where a place is free, also of what is held back: whoever had it may finish.
COUNT_LATE = """
UPDATE annotation_demand SET done = done + 1 WHERE comparison_id = %(comparison)s AND done + leased < wanted RETURNING done
"""

WANTED = """
UPDATE annotation_demand SET wanted = %(wanted)s,
  promised = CASE WHEN done + leased > %(wanted)s THEN done + leased ELSE 0 END
WHERE comparison_id = ANY (%(comparisons)s::bigint[]) AND NOT closed
RETURNING comparison_id
"""

# The next batch of comparisons that want another number, in their order. Ids only; locks come after.
OTHERWISE_WANTED = """
SELECT d.comparison_id FROM annotation_demand d JOIN annotation_comparison c ON c.id = d.comparison_id
WHERE d.project_id = %(project)s AND d.comparison_id > %(after)s AND NOT d.closed
  AND (%(import)s::bigint IS NULL OR c.source_import_id = %(import)s::bigint)
  AND (d.wanted <> %(wanted)s OR %(now)s AND d.done + d.leased > %(wanted)s OR c.wanted IS NOT NULL)
ORDER BY d.comparison_id LIMIT %(batch)s
"""
LOCK_HELD = """
SELECT id FROM annotation_assignment
WHERE comparison_id = ANY (%(comparisons)s::bigint[]) AND counted AND state IN ('leased', 'offered')
ORDER BY id FOR NO KEY UPDATE
"""
LOCK_DEMANDS = """
SELECT comparison_id FROM annotation_demand
WHERE project_id = %(project)s AND comparison_id = ANY (%(comparisons)s::bigint[])
ORDER BY comparison_id FOR NO KEY UPDATE
"""
# End these leases or offers and give their places back; the caller holds the locks of both tables.
END_HELD = """
WITH held AS (
  SELECT a.id, a.comparison_id, row_number() OVER (PARTITION BY a.comparison_id ORDER BY a.state = 'leased', a.id DESC) AS n
  FROM annotation_assignment a
  WHERE a.id = ANY (%(held)s::bigint[]) AND a.counted AND a.state IN ('leased', 'offered')
), ended AS (
  UPDATE annotation_assignment a
  SET state = 'released', token = a.token + 1, lease_until = NULL, closed_at = now(), closing_reason = '{reason}'
  FROM held JOIN annotation_demand d ON d.comparison_id = held.comparison_id
  WHERE a.id = held.id AND {ends} RETURNING a.comparison_id
), given AS (
  SELECT comparison_id, count(*)::int AS n FROM ended GROUP BY comparison_id
), back AS (
  UPDATE annotation_demand d SET leased = d.leased - given.n,
    promised = CASE WHEN d.promised > 0 AND d.done + d.leased - given.n > d.wanted
                    THEN d.done + d.leased - given.n ELSE 0 END
  FROM given WHERE d.comparison_id = given.comparison_id
)
SELECT coalesce(sum(n), 0) FROM given
"""
# What was not begun, and then the newest leases, above what is wanted.
REVOKE = END_HELD.format(reason="no longer wanted", ends="held.n <= d.done + d.leased - d.wanted")
END_OFFERED = END_HELD.format(reason="the offer is over", ends="true")
END_LEFT = END_HELD.format(reason="left the project", ends="true")
LOCK_OF_PERSON = """
SELECT id, comparison_id FROM annotation_assignment
WHERE participation_id = %(me)s AND state IN ('leased', 'offered') ORDER BY id FOR NO KEY UPDATE
"""
LOCK_OFFERED = """
SELECT id, comparison_id FROM annotation_assignment
WHERE participation_id = %(me)s AND offer_id = %(offer)s AND state = 'offered' ORDER BY id FOR NO KEY UPDATE
"""
# Looked for without a lock; nobody else changes `reserved_for` of a live offer.
RESERVED = "SELECT comparison_id FROM annotation_demand WHERE project_id = %(project)s AND reserved_for = %(offer)s"
UNRESERVE = """
UPDATE annotation_demand SET reserved_for = 0
WHERE comparison_id = ANY (%(comparisons)s::bigint[]) AND reserved_for = %(offer)s
"""

# Many places change in this transaction: cursors are void, and what opens stays where it stands.
CHANGING = """
WITH bulk AS (SELECT set_config('winnow.bulk', 'on', true))
UPDATE annotation_project SET queue_version = queue_version + 1 FROM bulk WHERE id = %(project)s
"""


@cache
def limited(statement: str, k: int) -> str:
    """The statement for so many rows. A limit that came as a parameter would be planned as a tenth of the project, and the
    plan made anew each time to find out that it is not."""
    return statement.replace("%(k)s", str(int(k)))
