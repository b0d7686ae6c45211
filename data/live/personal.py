"""What live commerce holds about people."""

from data.live.tables import attendance, chat_message, chatter, purchase, session, studio
from data.personal import Category, erased, kept, neutral

erased(chat_message, "author_id = $1", author_name=Category.IDENTITY, body=Category.WORDS)
erased(chatter, name=Category.IDENTITY)
erased(attendance, "viewer = ($1::uuid)::text", viewer=Category.BEHAVIOUR)
kept(purchase, "buyer = ($1::uuid)::text", reason="counts what a session sold", years=10, buyer=Category.BEHAVIOUR)
kept(session, "host_id = $1", reason="what was sold in it is part of the books", years=10)
neutral(session, "title", "description")
neutral(studio, "name", "location")
