"""The loop of `rag chat`: questions from a terminal or a pipe, answers as they are written.

Commands begin with a slash. Knows nothing of how a question is condensed or answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

from rag.answers import Mode, line_span
from rag.chat import Chat, answer_dict, new_id
from rag.terminal import err, print_answer_stream, print_source

HELP = """/source N  show the passage of citation [N] with its lines
/new       begin a new conversation
/help      show this
/quit      leave; so does the end of the input (Ctrl-D)
Ctrl-C stops an answer; once more, it leaves."""
_PROMPT = "> "


class TerminalChat:
    """One chat at a terminal, or over a pipe."""

    def __init__(self, chat: Chat, conversation: str, mode: Mode, *, as_json: bool) -> None:
        self.chat = chat
        self.conversation = conversation
        self.mode = mode
        self.as_json = as_json

    def run(self) -> None:
        """Answer until the input ends, /quit, or a second Ctrl-C."""
        at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not self.as_json
        read = _ask_at_terminal if at_terminal else _next_line
        if at_terminal:
            self._greet()
        interrupted = False
        while True:
            try:
                line = read()
                interrupted = False
                if line is None or line.strip() == "/quit":
                    return
                if line.strip():
                    self._take(line.strip())
            except KeyboardInterrupt:
                if interrupted or not at_terminal:
                    raise
                interrupted = True
                err.print("\n[dim]stopped; Ctrl-C again or /quit leaves[/dim]")

    def _greet(self) -> None:
        earlier = self.chat.store.turns(self.conversation)
        err.print(
            f"[dim]conversation {self.conversation}"
            + (f" with {len(earlier)} earlier questions" if earlier else "")
            + "; /help lists the commands[/dim]"
        )

    def _take(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        if not command.startswith("/"):
            self._answer(line)
        elif command == "/new":
            self.conversation = new_id()
            self._tell({"conversation_id": self.conversation}, f"conversation {self.conversation}")
        elif command == "/source":
            self._show_source(argument.strip().strip("[]"))
        elif command == "/help":
            self._tell({"help": HELP}, HELP)
        else:
            self._tell({"error": f"no command {command}"}, f"no command {command}: /help lists all")

    def _answer(self, question: str) -> None:
        if self.as_json:
            answer = self.chat.answer(self.conversation, question, mode=self.mode)
            _print_line(answer_dict(self.conversation, answer))
        else:
            stream = self.chat.stream(self.conversation, question, mode=self.mode)
            with closing(stream) as events:  # an interrupt stops the LLM at once
                print_answer_stream(events)
            err.print()

    def _show_source(self, number: str) -> None:
        turns = self.chat.store.turns(self.conversation, last=1)
        citations = (turns[0].answer or {}).get("citations", ()) if turns else ()
        citation = next((c for c in citations if c["marker"] == f"[{number}]"), None)
        if citation is None:
            problem = f"the last answer has no source {number!r}; it has {len(citations)}"
            self._tell({"error": problem}, problem)
            return
        source = self._passage(citation)
        if self.as_json:
            _print_line({"source": source})
        else:
            print_source(source)

    def _passage(self, citation: Mapping[str, Any]) -> dict[str, Any]:
        """Return a citation with the lines of its passage; of its quote, if that is gone."""
        pipeline = self.chat.pipeline
        document = pipeline.document(citation["doc_id"])
        if document is None:
            return {
                **citation,
                "passage_line": citation["line_start"],
                "lines": [citation["quote"]],
            }
        chunk = next((c for c in pipeline.chunks() if c.id == citation["chunk_id"]), None)
        start, end = (chunk.start, chunk.end) if chunk else (citation["start"], citation["end"])
        first, last = line_span(document.text, start, end)
        first, last = min(first, citation["line_start"]), max(last, citation["line_end"])
        lines = document.text.split("\n")[first - 1 : last]
        return {**citation, "passage_line": first, "lines": lines}

    def _tell(self, data: Mapping[str, Any], text: str) -> None:
        if self.as_json:
            _print_line(data)
        else:
            err.print(text, markup=False)


def _ask_at_terminal() -> str | None:
    with suppress(ImportError):  # with it, input() edits lines and remembers them
        import readline  # noqa: F401
    try:
        return input(_PROMPT)
    except EOFError:
        return None


def _next_line() -> str | None:
    return sys.stdin.readline() or None


def _print_line(data: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    sys.stdout.flush()
