"""Languages, and how times and durations are written in them."""

from __future__ import annotations

from datetime import date, datetime

from flask import Blueprint, Flask, redirect, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from edge_node.his.context import context
from edge_node.his.kept import local_path
from edge_node.i18n import CHINESE, LANGUAGES, Text, catalog, duration, text, translate

COOKIE = "lang"
_YEAR_S = 365 * 24 * 3600
# As `<html lang>` wants them.
TAGS = {CHINESE: "zh-Hans-CN", "en": "en"}
_WEEKDAYS = (text("Mon"), text("Tue"), text("Wed"), text("Thu"), text("Fri"), text("Sat"), text("Sun"))

__all__ = [
    "COOKIE",
    "TAGS",
    "blueprint",
    "duration",
    "init_app",
    "language",
    "local",
    "own_language",
    "say",
    "size",
    "today",
    "weekday",
]

blueprint = Blueprint("language", __name__)


def language() -> str:
    """The language of this request: what this computer chose, else the clinic's."""
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else context().language


def say(sentence: Text) -> str:
    """A Text in the language of this request."""
    return translate(sentence, language())


@blueprint.get("/language/<code>")
def choose(code: str) -> Response:
    """Change the language of this computer and go back."""
    response = redirect(local_path(request.args.get("next")) or "/")
    if code in LANGUAGES:
        response.set_cookie(COOKIE, code, max_age=_YEAR_S, httponly=True, samesite="Strict", secure=request.is_secure)
    return response


def _gettext(message: str) -> str:
    return catalog(language()).gettext(message)


def _ngettext(one: str, many: str, n: int) -> str:
    return catalog(language()).ngettext(one, many, n)


def own_language(words: str) -> Markup:
    """The lang attribute for what people are called: Chinese on an English page, to be read aloud and drawn as such."""
    foreign = language() != CHINESE and any(char >= "\u2e80" for char in words)
    return Markup(' lang="zh-Hans"') if foreign else Markup()


def local(at_ms: int) -> datetime:
    """A recorded time in the clinic's own time zone (the machine's)."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone()


def today() -> date:
    """The clinic's date now."""
    return local(context().clock.wall_ms()).date()


def weekday(day: date) -> Text:
    """周五, Fri."""
    return _WEEKDAYS[day.weekday()]


def size(size_bytes: float) -> str:
    """Bytes for a person: 4.1 KB, 18 MB; alike in both languages."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def init_app(app: Flask) -> None:
    """Translations, and the filters: words, times, durations, sizes, and yuan (of fen)."""
    # Over the catalogs that the command line uses too. Flask-Babel would find out the language anew for each sentence,
    # which took a fifth of a page's time.
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.register_blueprint(blueprint)
    app.jinja_env.filters.update(
        say=say,
        own_language=own_language,
        hm=lambda at: f"{local(at):%H:%M}",
        hms=lambda at: f"{local(at):%H:%M:%S}",
        month_day=lambda at: f"{local(at):%m-%d}",
        day=lambda at: f"{local(at):%Y-%m-%d}",
        weekday=lambda day: say(weekday(day)),
        duration=lambda seconds: say(duration(seconds)),
        size=size,
        yuan=lambda fen: f"{fen // 100}.{fen % 100:02}",
    )
    app.context_processor(lambda: {"lang": language(), "lang_tag": TAGS[language()]})
