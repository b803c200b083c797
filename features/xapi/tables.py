"""Parts of items among the events of the lake: `features.xapi.parts` over columns, for reading a whole log."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import columns
from features.events import Verb
from features.xapi.meaning import SOURCE, Known, moved
from features.xapi.parts import WRITTEN, is_part, whole_of


def resolved_table(events: pa.Table, known: Known) -> pa.Table:
    """The lake's events with the item and the verb that `resolved` gives them."""
    told = pc.and_(pc.equal(events[columns.SOURCE], SOURCE), pc.match_substring(events["context"], WRITTEN))
    rows = np.flatnonzero(told.to_numpy())
    if not len(rows):
        return events
    things, verbs = events[columns.OBJECT_ID].to_pylist(), events[columns.VERB].to_pylist()
    contexts = events["context"].take(rows).to_pylist()
    for row, written in zip(rows.tolist(), contexts, strict=True):
        context = json.loads(written)
        whole = whole_of(things[row], context, known)
        if whole is not None:
            things[row] = whole
            verbs[row] = moved(Verb(verbs[row])).value if is_part(whole, context) else verbs[row]
    for name, values in ((columns.OBJECT_ID, things), (columns.VERB, verbs)):
        place = events.schema.get_field_index(name)
        events = events.set_column(place, events.schema.field(place), pa.array(values, type=events.schema.field(place).type))
    return events
