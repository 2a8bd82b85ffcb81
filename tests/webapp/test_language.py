"""The interface's language: chosen per person, complete, and only on the pages that are translated."""

from __future__ import annotations

import ast
import re
from gettext import GNUTranslations
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation.template import templatize

from annotation.feedback import FEEDBACK_TYPES
from annotation.models import Project, User
from annotation.services.people import sign_in_link_create
from tests import cast
from webapp.language import TABS, script_words
from webapp.views.home import TYPES

ROOT = Path(__file__).resolve().parents[2]
OTHERS = [key for key, _ in settings.LANGUAGES if key != settings.LANGUAGE_CODE]
MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
PLACEHOLDER = re.compile(r"%\((\w+)\)s|\{(\w+)[^{}]*\}")
PAGES = ["annotate/", "history/", "guidelines/"]


def of_python(source: str) -> set[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    named = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id in MARKERS)
    return {
        call.args[0].value
        for call in named
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def of_template(source: str) -> set[str]:
    """Django turns a template into calls that its extraction reads; so do we."""
    marked = re.findall(r"""(?:gettext|ngettext|_)\((u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))""", templatize(source))
    return {str(ast.literal_eval(text)) for text in marked}


def of_scripts() -> set[str]:
    text = "\n".join(path.read_text() for path in (ROOT / "webapp/static/js").rglob("*.js"))
    return set(re.findall(r"\btn?\(\"((?:\\.|[^\"\\])*)\"", text))


def words_of_pages() -> set[str]:
    python = [*(ROOT / "annotation").rglob("*.py"), *(ROOT / "webapp").rglob("*.py")]
    templates = [*(ROOT / "annotation/feedback").rglob("*.html"), *(ROOT / "webapp/templates").rglob("*.html")]
    found = set().union(*(of_python(path.read_text()) for path in python))
    return found.union(*(of_template(path.read_text()) for path in templates))


def catalogue(language: str, domain: str) -> dict[object, str]:
    path = ROOT / f"webapp/locale/{language}/LC_MESSAGES/{domain}.mo"
    with path.open("rb") as file:
        return GNUTranslations(file)._catalog  # type: ignore[attr-defined]


def placeholders(text: str) -> set[str]:
    return {a or b for a, b in PLACEHOLDER.findall(text)}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize(("domain", "words"), [("django", words_of_pages), ("djangojs", of_scripts)])
def test_no_word_of_the_pages_lacks_a_translation(language: str, domain: str, words) -> None:
    said = {key[0] if isinstance(key, tuple) else key: text for key, text in catalogue(language, domain).items()}
    expected = words()
    assert len(expected) > 40, "the search found next to nothing, so it proves nothing"
    assert sorted(expected - {key for key, text in said.items() if text}) == []


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("domain", ["django", "djangojs"])
def test_translations_keep_the_values_of_the_words(language: str, domain: str) -> None:
    for key, text in catalogue(language, domain).items():
        english = key[0] if isinstance(key, tuple) else str(key)
        if english:
            assert placeholders(text) <= placeholders(english), (english, text)
            if not isinstance(key, tuple):
                assert placeholders(text) == placeholders(english), (english, text)


def test_the_scripts_get_all_plural_forms() -> None:
    forms = script_words("ar")["{n} passage marked"]
    assert isinstance(forms, list) and len(forms) == 6
    assert script_words("en") == {}


@pytest.fixture
def place(db: None) -> Project:
    return cast.project("ours")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator", "curator")


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_the_language_is_the_persons_own(place: Project, ben: User, page: str) -> None:
    cast.comparisons(place, 1)
    client = client_of(ben)
    assert '<html lang="en" dir="ltr">' in client.get(f"/p/ours/{page}").content.decode()
    client.post("/account/", {"name": "Ben", "interface_language": "ar"})
    shown = client.get(f"/p/ours/{page}", headers={"Accept-Language": "en"}).content.decode()
    assert '<html lang="ar" dir="rtl">' in shown and "أحكامي" in shown


def test_pages_in_english_stay_left_to_right(place: Project, ben: User) -> None:
    User.objects.update(interface_language="ar")
    assert '<html lang="en" dir="ltr">' in client_of(ben).get("/p/ours/comparisons/").content.decode()


def latin_words(page: str, *known: str) -> list[str]:
    """What a reader sees in Latin letters beyond names and these words."""
    body = re.sub(r"(?s)<(script|style|svg|option)\b.*?</\1>|<[^>]+>", " ", page.split("<body")[1])
    words = set(re.findall(r"[A-Za-z]{3,}", re.sub(r"\S+@\S+", " ", unescape(body))))
    return sorted(words - {"Winnow", *known})


def test_all_that_an_annotator_reaches_is_in_their_language(place: Project) -> None:
    cast.comparisons(place, 3)
    client = client_of(cast.person("Eve", place, "annotator"))
    User.objects.update(interface_language="ar")
    title = place.title.split()
    for address, status in {"/": 200, "/p/ours/": 200, "/account/": 200, "/p/none/": 404, "/nowhere/": 404}.items():
        reply = client.get(address)
        page = reply.content.decode()
        assert (reply.status_code, '<html lang="ar" dir="rtl">' in page) == (status, True), address
        assert latin_words(page, *title, "Which", "answer", "better") == [], address
    refused = client.post("/account/", {"name": "Eve", "new_password": "a new long password", "old_password": "wrong"})
    assert refused.status_code == 400 and "كلمة المرور الحالية غير صحيحة" in refused.content.decode()


def test_a_curators_home_and_overview_are_too(place: Project) -> None:
    cast.comparisons(place, 3)
    client = client_of(cast.person("Ada", place, "project_admin"))
    User.objects.update(interface_language="ar")
    for address in ("/", "/p/ours/"):
        assert latin_words(client.get(address).content.decode(), *place.title.split(), "CHES", "Which", "answer", "better") == []


def test_before_signing_in_the_browsers_language_is_spoken(client: Client, place: Project) -> None:
    link = sign_in_link_create(user=cast.person("Eve", place, "annotator"))
    for address in ("/sign-in/", f"/welcome/{link}/", "/welcome/none/"):
        page = client.get(address, headers={"Accept-Language": "ar-EG,ar;q=0.9,en;q=0.5"}).content.decode()
        assert '<html lang="ar" dir="rtl">' in page and latin_words(page) == [], address
        assert '<html lang="en" dir="ltr">' in client.get(address, headers={"Accept-Language": "fr"}).content.decode()
    wrong = client.post("/sign-in/", {"login": "x@example.org", "password": "wrong"}, headers={"Accept-Language": "ar"})
    assert latin_words(wrong.content.decode()) == []


def test_an_error_within_a_page_in_english_is_in_english(ben: User) -> None:
    User.objects.update(interface_language="ar")
    headers = {"HX-Request": "true"}
    assert "There is nothing here" in client_of(ben).get("/p/ours/comparisons/999/", headers=headers).content.decode()


def test_names_of_tabs_and_types_are_those_that_are_shown() -> None:
    """They are repeated for the catalogue: one that was changed where it stands would stay untranslated."""
    assert set(TABS) <= texts_of((ROOT / "webapp/context.py").read_text())
    assert {kind.label for kind in FEEDBACK_TYPES.values()} == set(TYPES)


def texts_of(source: str) -> set[str]:
    return {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_a_language_that_is_not_shipped_is_refused(ben: User) -> None:
    reply = client_of(ben).post("/account/", {"name": "Ben", "interface_language": "tlh"})
    assert reply.status_code == 400
    ben.refresh_from_db()
    assert ben.interface_language == "en"
