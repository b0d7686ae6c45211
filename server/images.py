"""What an uploaded file really is, by its content; images are drawn anew, so that nothing but the picture remains."""

from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

import filetype

from domain.kernel import DomainError
from domain.messaging import THUMBNAIL_TYPE, Examined

LARGEST_SIDE = 4_096
THUMBNAIL_SIDE = 320
MAX_PIXELS = 40_000_000
MAX_FRAMES = 200
MAX_MOVING_PIXELS = 60_000_000
"""Of all frames together."""
HEAD_BYTES = 4_096
JPEG_QUALITY = 85
PDF = "application/pdf"
FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF"}


@dataclass(eq=False)
class FileRefused(DomainError):
    """A file that is not, or not only, what may be sent."""

    reason: str
    template = "The file is refused: {reason}."


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A file as it is kept, and its small picture if it is one."""

    examined: Examined
    content: bytes
    thumbnail: bytes | None = None


def examine(file: IO[bytes]) -> Picture:
    """Recognise a file and make it harmless; it takes a while, and is for a thread of its own.

    Raises: FileRefused.
    """
    file.seek(0)
    guessed = filetype.guess(file.read(HEAD_BYTES))
    file.seek(0)
    kind = guessed.mime if guessed else None
    if kind == PDF:
        content = file.read()
        return Picture(examined=Examined(content_type=PDF, size_bytes=len(content)), content=content)
    if kind not in FORMATS:
        raise FileRefused(reason="only JPEG, PNG, WebP and GIF images and PDF documents can be sent")
    return _drawn(file, kind)


def _drawn(file: IO[bytes], kind: str) -> Picture:
    # It weighs 15 MB, which only those processes need that get pictures.
    from PIL import Image, ImageOps  # noqa: PLC0415

    try:
        with Image.open(file, formats=[FORMATS[kind]]) as image:
            frames = _check_size(image)
            if frames > 1:
                return _moving(image, kind)
            image.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
            upright = ImageOps.exif_transpose(image)
            still = _still(upright, kind)
            still.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            return _picture(_encoded(still, kind), still, kind)
    except FileRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileRefused(reason=f"a picture has at most {MAX_PIXELS:,} pixels") from error
    except Exception as error:
        raise FileRefused(reason="it is not a picture that can be read") from error


def _check_size(image: Any) -> int:
    """Refuse what would grow beyond measure when it is unpacked; gives the number of frames. Nothing is unpacked yet."""
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise FileRefused(reason=f"a picture has at most {MAX_PIXELS:,} pixels")
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and (frames > MAX_FRAMES or frames * pixels > MAX_MOVING_PIXELS):
        raise FileRefused(reason="a moving picture is shorter, or smaller")
    if frames > 1 and max(image.size) > LARGEST_SIDE:
        raise FileRefused(reason=f"a moving picture has at most {LARGEST_SIDE:,} pixels a side")
    return frames


def _still(image: Any, kind: str) -> Any:
    """Give the pixels alone, in a mode that the format can write."""
    from PIL import Image  # noqa: PLC0415 — see `_drawn`.

    opaque = kind == "image/jpeg" or not image.has_transparency_data
    pixels = image.convert("RGB" if opaque else "RGBA")
    blank = Image.new(pixels.mode, pixels.size)
    blank.paste(pixels)
    return blank


def _moving(image: Any, kind: str) -> Picture:
    from PIL import ImageSequence  # noqa: PLC0415 — see `_drawn`.

    durations: list[int] = []
    frames = []
    for frame in ImageSequence.Iterator(image):
        durations.append(int(frame.info.get("duration", 100)) or 100)
        frames.append(_still(frame.convert("RGBA"), kind))
    written = BytesIO()
    frames[0].save(
        written, FORMATS[kind], save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=2
    )
    return _picture(written.getvalue(), frames[0], kind)


def _encoded(image: Any, kind: str) -> bytes:
    written = BytesIO()
    options = {"quality": JPEG_QUALITY} if kind in {"image/jpeg", "image/webp"} else {}
    image.save(written, FORMATS[kind], **options)
    return written.getvalue()


def _picture(content: bytes, image: Any, kind: str) -> Picture:
    width, height = image.size
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return Picture(
        examined=Examined(content_type=kind, size_bytes=len(content), width=width, height=height),
        content=content,
        thumbnail=_encoded(image, THUMBNAIL_TYPE),
    )
