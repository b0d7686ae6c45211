"""What localization holds about people: nothing; its texts are the shop's."""

from data.localization.tables import supported_language, translation, translation_override
from data.personal import neutral

neutral(supported_language, "name", "native_name")
neutral(translation, "text")
neutral(translation_override, "text")
