# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What a person at the terminal sees while an engine works: one line for each thing that happens, (text, colour).

What a model wrote is hostile: it is cleaned of secrets, loses control and invisible characters and line breaks, and is cut.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.engine.opinion import Clean, Opinion, plain

Line = tuple[str, str]
Show = Callable[[Line], object]

_COMMAND, _REASON, _NAME = 100, 120, 60  # characters
_LINES = 60  # of one question; commands are bounded, refused ones need not be


def nobody(_line: Line) -> None:
    """For who does not want to see it."""


class Progress:
    """The lines of one question."""

    def __init__(self, engine: str, question: Mapping[str, Any], show: Show, clean: Clean) -> None:
        self._show, self._clean, self._left = show, clean, _LINES
        finding = question.get("finding") or {}
        named = finding.get("object") or {}
        about = (
            f"{self._short(finding.get('code'), _NAME)} in"
            f" {self._short(str(named.get('kind') or '').lower(), _NAME)}/{self._short(named.get('name'), _NAME)}"
        )
        self._start = f"{engine}: {about}: "

    def asks(self, provider: str, model: str, number: int, many: int, seconds: float) -> None:
        of = f" ({number} of {many})" if many > 1 else ""
        self._say(
            f"asks {self._short(model, _NAME)} of {provider}, at most {seconds:.0f} s{of}"
            if seconds >= 1
            else f"asks {self._short(model, _NAME)}{of}"
        )

    def decided(self, command: str, refusal: str) -> None:
        said = self._short(command, _COMMAND)
        self._say(f"not run: {said}: {self._short(refusal, _REASON)}" if refusal else f"runs: {said}", "yellow" if refusal else "dark gray")

    def again(self, reason: str, wait: float) -> None:
        when = f" in {wait:.1f} s" if wait else ""
        self._say(f"asks again{when}: {self._short(reason, _REASON)}", "yellow")

    def ended(self, opinion: Opinion) -> None:
        after = f"after {opinion['duration_seconds']:.1f} s"
        if opinion["agrees"] is None:
            self._say(f"{opinion['outcome']} {after}: {self._short(opinion['reason'], _REASON)}", "yellow", last=True)
        elif opinion["agrees"]:
            self._say(f"answered {after}: agrees", "green", last=True)
        else:
            self._say(f"answered {after}: DISAGREES: {self._short(opinion['root_cause'], _REASON)}", "yellow", last=True)

    def _say(self, text: str, colour: str = "", last: bool = False) -> None:
        self._left -= 1
        if self._left > 0 or last:
            self._show((self._start + text, colour))

    def _short(self, text: Any, limit: int) -> str:
        return " ".join(plain(self._clean(str(text or "")[: limit * 20]), limit * 2).split())[:limit]
