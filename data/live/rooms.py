"""Keeps what happens in rooms: the viewers, the highest number of them, and the reactions of many rooms at once."""

from collections.abc import Sequence

import orjson

from data.database import Database
from data.direct import direct
from domain.live import RoomPage

# Only rooms of sessions that there are, and that are the tenant's, are kept.
_KEEP = """
WITH page AS (
  SELECT told.tenant_id, told.session_id, told.viewers, told.peak, told.reactions
  FROM jsonb_to_recordset($1::text::jsonb)
    AS told (tenant_id uuid, session_id uuid, viewers jsonb, peak integer, reactions jsonb)
  JOIN live.session s ON s.id = told.session_id AND s.tenant_id = told.tenant_id
), came AS (
  INSERT INTO live.attendance (tenant_id, session_id, viewer)
  SELECT tenant_id, session_id, jsonb_array_elements_text(viewers) FROM page ON CONFLICT DO NOTHING
)
INSERT INTO live.room AS r (tenant_id, session_id, peak_viewers, reactions)
SELECT tenant_id, session_id, peak, reactions FROM page
ON CONFLICT (tenant_id, session_id) DO UPDATE SET
  peak_viewers = greatest(r.peak_viewers, excluded.peak_viewers),
  reactions = (
    SELECT coalesce(jsonb_object_agg(kind, most), '{}') FROM (
      SELECT key AS kind, max(value::bigint) AS most FROM (
        SELECT * FROM jsonb_each_text(r.reactions) UNION ALL SELECT * FROM jsonb_each_text(excluded.reactions)
      ) AS counted GROUP BY key) AS merged)
"""


class SqlRoomBooks:
    """Implements the domain's `RoomBooks`; numbers only grow, so that what comes late or twice does no harm."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, pages: Sequence[RoomPage]) -> None:
        told = [
            {
                "tenant_id": str(page.tenant_id),
                "session_id": str(page.session_id),
                "viewers": sorted(page.viewers),
                "peak": page.peak,
                "reactions": dict(page.reactions),
            }
            for page in pages
        ]
        # The rooms of all tenants go in one statement, which only the platform's role may write.
        async with self._database.session(None) as session:
            await direct(session, _KEEP, orjson.dumps(told).decode())
