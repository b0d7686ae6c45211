"""Streaming: keys for those who send streams, and an answer to the media server that asks whether they may."""

from server.live.hook import PATH, stream_hook
from server.live.streaming import EmbeddedStreaming

__all__ = ["PATH", "EmbeddedStreaming", "stream_hook"]
