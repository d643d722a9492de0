"""Sends forms through OpenAI's library for Python to the base URL of its first argument; tells what came of each, as JSON."""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
MODEL = sys.argv[2]
SOUND = ("a.wav", b"RIFF\r\n--\x00\xff", "audio/wav")


def transcription(**asked):
    return client.audio.transcriptions.create(file=SOUND, model=MODEL, **asked)


def streamed():
    with transcription(stream=True) as events:
        return [event.type for event in events]


print(
    json.dumps(
        {
            "json": transcription().text,
            "text": transcription(response_format="text"),
            "srt": transcription(response_format="srt"),
            "verbose": transcription(
                response_format="verbose_json", timestamp_granularities=["word", "segment"]
            ).duration,
            "stream": streamed(),
            "translation": client.audio.translations.create(file=SOUND, model=MODEL).text,
            "edit": client.images.edit(
                image=[("1.png", b"1", "image/png"), ("2.png", b"2", "image/png")], prompt="x", model=MODEL
            )
            .data[0]
            .b64_json,
            "variation": client.images.create_variation(image=SOUND, model=MODEL).data[0].b64_json,
        }
    )
)
