"""cmi5: what an assignable unit, a block or a course is called by whoever published it.

An LMS launches each under an id of its own making, which is never the one of the course structure; that one stands in the
grouping of every statement that cmi5 defines (AICC/ADL, Quartz, 8.1 and 9.6.2). So there the grouping is the thing itself under
another name, and no whole of which it is a part.
"""

from features.xapi.statement import Context

DEFINED = "https://w3id.org/xapi/cmi5/context/categories/cmi5"
PUBLISHED_AS = "published_as"
"""In the context of an event that cmi5 defines, about no known item: the publisher's id of the same thing."""
_COURSE = "course"


def published_as(context: Context | None) -> str | None:
    """The publisher's id of what a statement is about; None where cmi5 does not define it, or the grouping may be a whole.

    An LMS may put the course there too: more than one grouping, a parent, or one that says it is a course, names wholes.
    """
    above = context.context_activities if context is not None else None
    if above is None or above.parent or len(above.grouping or ()) != 1:
        return None
    if not any(_plain(one.id) == _plain(DEFINED) for one in above.category or ()):
        return None
    ((named),) = above.grouping or ()
    kind = None if named.definition is None else named.definition.type
    return None if kind is not None and kind.rstrip("/").rsplit("/", 1)[-1].lower() == _COURSE else named.id


def _plain(iri: str) -> str:
    return iri.removeprefix("https:").removeprefix("http:").rstrip("/")
