"""The words of the report on observing, in a language of the clinic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_node.i18n import ENGLISH, Text, duration, reason_text, text, translate
from edge_node.journal.words import Local, machine_time
from monitoring.observe import Advice
from monitoring.observe_page import ObserveWords


def observe_words(language: str, *, local: Local = machine_time) -> ObserveWords:
    """Every sentence with its places left open: the page fills them."""

    def say(sentence: Text) -> str:
        return translate(Text(sentence.message), language)

    def explain(code: str, args: Mapping[str, Any]) -> str:
        return translate(reason_text(code, args), language)

    return ObserveWords(
        lang="en" if language == ENGLISH else "zh-Hans-CN",
        title=say(text("What enforce would have done, %(since)s to %(until)s")),
        about=say(text("%(node)s · %(start)s to %(end)s (%(zone)s) · made %(made)s · from this node's journal")),
        summary=say(text("Summary")),
        advices=_advices(language),
        main_seen=say(text("Traffic goes by %(main)s, as the network configuration of this machine says.")),
        main_assumed=say(text("Traffic is taken to go by %(main)s, the line that is preferred first.")),
        known=say(text("The watcher was there for %(known)s of %(window)s.")),
        hasty_note=say(
            text(
                "Moves that would have been a mistake in hindsight, taken back within two minutes with nothing gained: "
                "%(hasty)s."
            )
        ),
        worst_day=say(text("The day with the most moves: %(day)s, %(count)s.")),
        by_line=say(text("By line")),
        line=say(text("Line")),
        up=say(text("Up")),
        degraded=say(text("Degraded")),
        down=say(text("Down")),
        unknown=say(text("Unknown")),
        used=say(text("Would have been used")),
        left=say(text("Left")),
        hasty=say(text("In vain")),
        footnote=say(
            text("* Nobody was there to see. Times are h:mm:ss. Left: how often traffic would have moved away from it.")
        ),
        outages=say(text("Outages of %(main)s, and what would have bridged them")),
        no_outages=say(text("There was none.")),
        start=say(text("Start")),
        length=say(text("Length")),
        bridged=say(text("Bridged")),
        by=say(text("By")),
        reason=say(text("Reason")),
        goes_on=say(text("goes on")),
        moves=say(text("Moves that would have been made")),
        no_moves=say(text("There was none.")),
        time=say(text("Time")),
        from_line=say(text("From")),
        to_line=say(text("To")),
        stayed=say(text("Stayed")),
        back=say(text("in vain")),
        offline=say(text("offline")),
        by_day=say(text("Moves by day")),
        day=say(text("Day")),
        count=say(text("Moves")),
        further=say(text("Further ones, in the CSV and JSON files only: %(count)s.")),
        foot=say(text("%(node)s · edge-node %(version)s · SHA-256 of the JSON file: %(digest)s")),
        explain=explain,
        spoken=lambda seconds: translate(duration(seconds), language),
        local=local,
    )


def _advices(language: str) -> Mapping[Advice, str]:
    sentences = {
        Advice.NOTHING_KNOWN: text("Nothing is known of this time: the watcher did not run, or nobody recorded it."),
        Advice.ENFORCED: text(
            "This node enforces: these moves were made. They bridged %(bridged)s of %(outages)s outages of %(main)s, "
            "%(total)s in all, with %(moves)s moves."
        ),
        Advice.ONE_LINE: text("There is one line only: enforce would have nothing to move to."),
        Advice.UNHEARD: text(
            "Nothing was ever heard of %(line)s, so enforce could not use it: first look at why "
            "(edge-node line explain %(line)s)."
        ),
        Advice.FLAPS: text(
            "%(line)s flaps: enforce would have left it %(left)s times, up to %(most)s times in a day, %(hasty)s times "
            "in vain: look at the line before."
        ),
        Advice.TOO_SHORT: text(
            "Only %(known)s are known, too little to judge by. So far enforce would have bridged %(bridged)s of "
            "%(outages)s outages of %(main)s, with %(moves)s moves."
        ),
        Advice.BRIDGES: text(
            "Enforce would have bridged %(bridged)s of %(outages)s outages of %(main)s, %(total)s in all, with "
            "%(moves)s moves; nothing speaks against it."
        ),
        Advice.QUALITY_ONLY: text(
            "There was no outage that enforce could have bridged; it would have made %(moves)s moves away from lines "
            "that were worse. Nothing speaks against it."
        ),
        Advice.QUIET: text("In %(known)s there was nothing for enforce to do; nothing speaks against it."),
    }
    return {advice: translate(Text(sentence.message), language) for advice, sentence in sentences.items()}
