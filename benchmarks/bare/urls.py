"""`next` picks and lends one row; `submit` stores one and commits; `import` stores one pair with its three texts."""

import json

from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

PICK = """
UPDATE bare_item SET leased = true WHERE id = (
  SELECT id FROM bare_item WHERE NOT leased ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, prompt, first, second
"""


def next_item(request: HttpRequest) -> JsonResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PICK)
        row = cursor.fetchone()
    return JsonResponse({"item": row})


def submit(request: HttpRequest, item: int) -> JsonResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bare_vote (item, vote) VALUES (%s, %s)", [item, int(request.POST["vote"])]
        )
    return JsonResponse({"ok": True})


def import_rows(request: HttpRequest) -> JsonResponse:
    rows = [json.loads(line) for line in request.body.splitlines()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO bare_item (prompt, first, second, leased) VALUES (%s, %s, %s, false)",
            [(row["prompt"], row["chosen"], row["rejected"]) for row in rows],
        )
    return JsonResponse({"rows": len(rows)})


urlpatterns = [path("next", next_item), path("submit/<int:item>", submit), path("import", import_rows)]
