"""The hot statements of the assignment queue.

Lock order, which is the proof that there is no deadlock: participation, then assignment, then demand (by comparison when
many). Everything else takes only rows that nobody holds (SKIP LOCKED).
"""

# The person's own lock, and all that a call needs to know about person and project. A statement of its own: the next one
# must take its snapshot after the wait.
PERSON = """
SELECT p.id, p.state, r.id, j.lease_seconds, j.archived_at IS NOT NULL, EXISTS (
  SELECT 1 FROM annotation_assignment a WHERE a.participation_id = p.id AND a.state IN ('expired', 'offered'))
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

# What this person had and lost, if a place is free; offered ones hold theirs already.
RESUME = """
WITH mine AS (
  SELECT a.id, a.comparison_id, a.state FROM annotation_assignment a
  JOIN annotation_demand d ON d.comparison_id = a.comparison_id
  WHERE a.participation_id = %(me)s
    AND (a.state = 'offered' OR (a.state = 'expired' AND a.times_expired < %(most_expired)s AND d.is_open))
  ORDER BY a.state = 'offered' DESC, a.id LIMIT %(k)s FOR NO KEY UPDATE OF d SKIP LOCKED
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

# Pick, count and lend in one statement. The side shown first is a keyed hash of the comparison and of how often it was
# lent; each following pair of showings has both sides once.
PICK = """
WITH pick AS (
  SELECT d.comparison_id FROM annotation_demand d
  WHERE d.project_id = %(project)s AND d.is_open
    AND NOT EXISTS (SELECT 1 FROM annotation_assignment a
                    WHERE a.participation_id = %(me)s AND a.comparison_id = d.comparison_id)
  ORDER BY d.pool, d.ord LIMIT %(k)s FOR NO KEY UPDATE OF d {skip}
), took AS (
  UPDATE annotation_demand d SET leased = d.leased + 1 FROM pick WHERE d.comparison_id = pick.comparison_id
  RETURNING d.comparison_id, d.pool, d.ord
), sided AS (
  SELECT t.comparison_id, t.pool, t.ord,
    (get_bit(sha256(c.key || uuid_send(j.split_salt) || int4send(n.lent / 2)), 0) + n.lent) %% 2 AS turned
  FROM took t
  JOIN annotation_comparison c ON c.id = t.comparison_id
  JOIN annotation_project j ON j.id = c.project_id
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS lent FROM annotation_assignment a WHERE a.comparison_id = t.comparison_id) n
)
INSERT INTO annotation_assignment
  (participation_id, comparison_id, repeat_no, source, counted, state, token, option_order, leased_at, lease_until,
   times_expired, closing_reason)
SELECT %(me)s, comparison_id, 0, 'pool', true, 'leased', 1,
  CASE turned WHEN 0 THEN '{{0,1}}'::smallint[] ELSE '{{1,0}}'::smallint[] END,
  now(), now() + make_interval(secs => %(lease)s), 0, ''
FROM sided ORDER BY pool, ord
RETURNING id, token, comparison_id, option_order, lease_until
"""
PICK_FREE = PICK.format(skip="SKIP LOCKED")
PICK_WAITING = PICK.format(skip="")

# Close the lease, count the vote, store it and tell the outbox: one statement, one snapshot.
SUBMIT = """
WITH a AS (
  UPDATE annotation_assignment SET state = 'submitted', lease_until = NULL, closed_at = now()
  WHERE id = %(assignment)s AND participation_id = %(me)s AND state = 'leased'
  RETURNING id, comparison_id, counted, option_order
), q AS (
  UPDATE annotation_demand d SET
    leased = d.leased - 1,
    done = d.done + CASE WHEN %(gives_back)s THEN 0 ELSE 1 END,
    promised = CASE WHEN %(gives_back)s AND d.done + d.leased - 1 <= d.wanted THEN 0
                    WHEN %(gives_back)s AND d.promised > 0 THEN d.done + d.leased - 1 ELSE d.promised END,
    held_back = d.held_back OR (%(gives_back)s AND 1 + (
      SELECT count(*) FROM annotation_annotation n JOIN annotation_assignment s ON s.id = n.assignment_id AND s.counted
      WHERE n.comparison_id = d.comparison_id AND n.state = 'current' AND n.outcome = 'cannot_judge') >= %(most_given_back)s)
  FROM a WHERE a.counted AND d.comparison_id = a.comparison_id
  RETURNING d.done
), n AS (
  INSERT INTO annotation_annotation
    (project_id, comparison_id, rater_id, assignment_id, state, outcome, vote, vote_scale, answers, form_revision_id,
     guideline_revision_id, interface_language, shown_order, submit_key, body_hash, late, ordinal, active_seconds,
     idle_seconds, exposure, created_at)
  SELECT %(project)s, a.comparison_id, %(rater)s, a.id, 'current', %(outcome)s, %(vote)s::smallint,
    %(vote_scale)s::smallint, %(answers)s::jsonb, %(form)s::bigint, %(guidelines)s::bigint, %(language)s,
    to_jsonb(a.option_order), %(key)s::uuid, %(body_hash)s, false, coalesce((SELECT done FROM q), 0),
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
RETURNING a.id
"""

# Leases whose time is over, taken away under their row locks.
SWEEP = """
WITH due AS (
  SELECT id FROM annotation_assignment WHERE state = 'leased' AND lease_until < now()
  ORDER BY comparison_id LIMIT 200 FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE annotation_assignment a
SET state = 'expired', token = a.token + 1, lease_until = NULL, closed_at = now(), times_expired = a.times_expired + 1
FROM due WHERE a.id = due.id RETURNING a.comparison_id, a.counted
"""

# Give `n` leased places of one comparison back; what was promised shrinks with them.
GIVE_BACK = """
UPDATE annotation_demand SET leased = leased - %(n)s,
  promised = CASE WHEN promised > 0 AND done + leased - %(n)s > wanted THEN done + leased - %(n)s ELSE 0 END
WHERE comparison_id = %(comparison)s
"""

# A vote without a lease is counted where a place is free.
COUNT_LATE = "UPDATE annotation_demand SET done = done + 1 WHERE comparison_id = %(comparison)s AND is_open RETURNING done"

WANTED = """
UPDATE annotation_demand SET wanted = %(wanted)s,
  promised = CASE WHEN done + leased > %(wanted)s THEN done + leased ELSE 0 END
WHERE comparison_id = %(comparison)s
"""
