"""Does a turn refer back to what was said before it? Word lists and rules for English.

Deterministic: of the 465 questions of `eval/cases`, which all stand alone, 5 are taken for ones
that do not. Knows nothing of conversations, retrieval or models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from index.bm25 import terms

# Words that any question may have, whatever it is about: two of them name no topic.
GENERIC = frozenset(
    terms(
        """work works compute calculate choose pick make build handle handling deal set get need
        want apply implement compare happen matter help helps fix change know decide cost costs
        price expensive cheap example difference differ trade-off tradeoff advantage disadvantage
        pro con benefit drawback limit limitation limits risk downside upside problem issue case
        way method approach technique alternative option step reason detail thing part kind type
        answer question source summary good bad better best worse worst important common typical
        simple easy hard main exactly actually really usually always ever never often sometimes
        explain describe define give show tell say mean elaborate go come use usage first
        second third last else instead again still practice real point idea topic word short brief
        long much many please thank list enough possible worth big small large fast slow quick
        lot bit second minute hour day week month year"""
    )
)
# Of the generic words, those that only carry a request: a rewrite may drop them.
CARRIERS = frozenset(
    terms(
        """explain describe give show tell say mean elaborate continue go please thing exactly
        actually really again else instead first second third last point word still detail case
        know want good idea"""
    )
)
# These a rewrite may add: "which one?" becomes "which calibration method?".
FILLERS = frozenset(terms("method way approach technique option kind type"))
SMALL_TALK = frozenset(
    """thanks thank you ok okay great cool nice hello hi hey bye goodbye yes no got it good sure
    right perfect fine and""".split()
)

_PRONOUNS = frozenset("it its they them their theirs this these those".split())
_POSSESSIVE = frozenset({"its", "their"})
_POINTS_AT_THE_END = frozenset(
    "instead otherwise again then both others other too there here else latter former same".split()
)
_BOUNDARIES = frozenset(
    """and but or if when while because so before after until than whether since although""".split()
)
_SAYS_WHICH = frozenset("who whom that which with without of in where".split())  # "those who"
_BEFORE_POINTING_THAT = frozenset(
    """is are was were does do did can could would will should of with for in about to from on than
    like by and or but at after before why how what when without as if""".split()
)
_TOKEN = re.compile(r"[a-z0-9]+(?:[-'/.&][a-z0-9]+)*|[,;:.!?()]")
_EMPTY_IT = re.compile(  # "is it possible to", "how long does it take to": it means nothing
    r"\bit(?=\s+(?:(?:ever|really|always|still)\s+)?(?:"
    r"(?:takes?|costs?)\b.*\bto\b|makes?\s+(?:any\s+)?sense\b|worth\s+\w+ing\b"
    r"|(?:means?|matters?)\s+(?:that|if|whether|how)\b"
    r"|(?:possible|better|best|ok|okay|safe|necessary|important|enough|common|hard|easy|wise|useful"
    r"|good|true|likely|an?\s+(?:good|bad)\s+idea)\s+(?:to|that|if|when|for)\b))"
    r"|\bit(?=(?:'s|\s+is|\s+was)\s+\w+\s+(?:to|that)\b)"
)
_WHAT_ABOUT = re.compile(
    r"^(?:(?:and|but|or|so|then|ok|okay|well|hm+)\b[\s,]*)*(?:what|how)\s+about\b", re.IGNORECASE
)
# These count only in a short turn; a long one with them usually says all that is needed.
_SHORT_FORMS = re.compile(
    r"^(?:and|but|or|so|then|also|plus|what\s+if|how\s+come|why\s+not|why\s+so|how\s+so)\b"
    r"|^(?:like\s+what|such\s+as\s+what)\b"
    r"|\b(?:which|that|this|either|another|other|first|second|third|last|latter|former)\s+ones?\b"
    r"|\bthe\s+(?:first|second|third|last|other)\s+(?:point|option|tool|method|approach|way|step"
    r"|idea|technique|alternative|case|two|three)\b"
    r"|\bthe\s+(?:first|second|third|last|previous|above)\s*[?.!]*$"
    r"|\bsame\s+(?:thing|way|problem|for)\b|\b(?:that|this|which)\s+case\b|\bsuch\s+an?\b"
    r"|\byou\s+(?:just\s+)?(?:said|mentioned|named|listed)\b|\bas\s+well\s*[?.!]*$",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(
    r"^(?:for|with|without|in|on|at|by|under|from|to|versus|vs|compared|even|only|especially|as)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:what|how|why|when|which|who|whose|where|do|does|did|is|are|was|were|can|could|should|would"
    r"|will|may|must|explain|compare|describe|give|list|tell)\b",
    re.IGNORECASE,
)
# So many specific terms make a turn that is no short form ("and how do I calibrate a multi-task
# ranker?"), and one that is whole with an open pronoun in it.
_LONG, _WHOLE = 4, 7

Specific = Callable[[str], Sequence[str]]


def refers_back(turn: str, specific_terms: Specific) -> bool:
    """Tell whether `turn` leans on what was said before: a pronoun, a pointer, an ellipsis.

    A pronoun with something to mean in the turn itself does not count: "if the cache is cold, how
    do I warm it?". `specific_terms` gives the words of a text that can be meant.
    """
    turn = turn.strip()
    said = len(set(specific_terms(turn)))
    if said >= _WHOLE:
        return False
    if _WHAT_ABOUT.match(turn) or has_open_pronoun(turn, specific_terms):
        return True
    fragment = _FRAGMENT.match(turn) and not _ASKS.search(turn)
    return said < _LONG and bool(fragment or _SHORT_FORMS.search(turn))


def has_open_pronoun(turn: str, specific_terms: Specific) -> bool:
    """Tell whether a pronoun of `turn` has nothing to mean in an earlier clause of it."""
    words = _TOKEN.findall(_EMPTY_IT.sub("", turn.lower().replace("’", "'")))
    for i in range(len(words)):
        if not _points(words, i):
            continue
        # A possessive may belong to its own clause: "stores and their cost".
        before = words[:i] if words[i] in _POSSESSIVE else _before_the_clause(words, i)
        if not specific_terms(" ".join(before)):
            return True
    return False


def _points(words: Sequence[str], i: int) -> bool:
    word = words[i].removesuffix("'s")
    following = words[i + 1] if i + 1 < len(words) else "?"
    before = words[i - 1] if i else ""
    if word in ("these", "those") and following in _SAYS_WHICH:
        return False
    if word == "that":
        return not following[0].isalnum() or not i or before in _BEFORE_POINTING_THAT
    if word in _POINTS_AT_THE_END:
        exists = word == "there" and before in ("is", "are", "was", "were")
        return not following[0].isalnum() and not exists
    return word in _PRONOUNS


def _before_the_clause(words: Sequence[str], i: int) -> Sequence[str]:
    """Return the words before the last clause boundary before word `i`; none without one."""
    for j in range(i - 1, -1, -1):
        if words[j] in _BOUNDARIES or not words[j][0].isalnum():
            return words[:j]
    return []
