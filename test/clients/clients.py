"""Asks through the public client libraries for Python. One call per line of stdin, as JSON, or a list of calls that are
made at once; its outcome, or the list of theirs, per line of stdout. A call with "leave" is closed by the client when it
has heard that text."""

import functools
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import anthropic
import ollama
import openai


class Left(Exception):
    pass


# Making a client takes longer than most calls: it reads the certificates of the system.
@functools.cache
def ollama_at(url):
    return ollama.Client(host=url)


# Strict clients raise an error where an answer is not of the type that they promise.
@functools.cache
def openai_at(url, strict=True):
    return openai.OpenAI(
        base_url=url + "/v1", api_key="none", max_retries=0, _strict_response_validation=strict
    )


@functools.cache
def anthropic_at(url):
    return anthropic.Anthropic(
        base_url=url, api_key="none", max_retries=0, _strict_response_validation=True
    )


def ollama_chat(call):
    client = ollama_at(call["url"])
    asked = {
        "model": call["model"],
        "messages": [{"role": "user", "content": call["prompt"]}],
        "options": {"num_predict": call["tokens"], "temperature": 0},
    }
    if not call["stream"]:
        yield client.chat(**asked).message.content
        return
    stream = client.chat(**asked, stream=True)
    try:
        for part in stream:
            yield part.message.content
    finally:
        stream.close()


def ollama_generate(call):
    client = ollama_at(call["url"])
    asked = {
        "model": call["model"],
        "prompt": call["prompt"],
        "options": {"num_predict": call["tokens"], "temperature": 0},
    }
    if not call["stream"]:
        yield client.generate(**asked).response
        return
    stream = client.generate(**asked, stream=True)
    try:
        for part in stream:
            yield part.response
    finally:
        stream.close()


def openai_chat(call):
    reply = openai_at(call["url"]).chat.completions.create(
        model=call["model"],
        messages=[{"role": "user", "content": call["prompt"]}],
        max_tokens=call["tokens"],
        temperature=0,
        stream=call["stream"],
    )
    if not call["stream"]:
        yield reply.choices[0].message.content
        return
    with reply:
        for chunk in reply:
            yield chunk.choices[0].delta.content if chunk.choices else ""


def openai_completions(call):
    # A type that OpenAI's own streams do not keep: their pieces before the last one have no reason to finish.
    client = openai_at(call["url"], strict=not call["stream"])
    reply = client.completions.create(
        model=call["model"],
        prompt=call["prompt"],
        max_tokens=call["tokens"],
        temperature=0,
        stream=call["stream"],
    )
    if not call["stream"]:
        yield reply.choices[0].text
        return
    with reply:
        for chunk in reply:
            yield chunk.choices[0].text if chunk.choices else ""


def openai_responses(call):
    reply = openai_at(call["url"]).responses.create(
        model=call["model"],
        input=call["prompt"],
        max_output_tokens=call["tokens"],
        temperature=0,
        stream=call["stream"],
    )
    if not call["stream"]:
        yield reply.output_text
        return
    with reply:
        for event in reply:
            yield event.delta if event.type == "response.output_text.delta" else ""


def message_of(call):
    return {
        "model": call["model"],
        "messages": [{"role": "user", "content": call["prompt"]}],
        "max_tokens": call["tokens"],
        # Newer versions of the library have no argument for it.
        "extra_body": {"temperature": 0},
    }


def anthropic_messages(call):
    client = anthropic_at(call["url"])
    if not call["stream"]:
        yield client.messages.create(**message_of(call)).content[0].text
        return
    with client.messages.create(**message_of(call), stream=True) as stream:
        for event in stream:
            is_text = event.type == "content_block_delta" and event.delta.type == "text_delta"
            yield event.delta.text if is_text else ""


def anthropic_helper(call):
    with anthropic_at(call["url"]).messages.stream(**message_of(call)) as stream:
        yield from stream.text_stream
        stream.get_final_message()


CLIENTS = {
    "ollama chat": ollama_chat,
    "ollama generate": ollama_generate,
    "openai chat": openai_chat,
    "openai completions": openai_completions,
    "openai responses": openai_responses,
    "anthropic messages": anthropic_messages,
    "anthropic messages, stream helper": anthropic_helper,
}


def run(call):
    text, error, status = "", None, None
    parts = CLIENTS[call["client"]](call)
    try:
        for part in parts:
            text += part or ""
            if text == call.get("leave"):
                raise Left("left")
    except Exception as thrown:
        error = f"{type(thrown).__name__}: {thrown}"
        status = getattr(thrown, "status_code", None)
    finally:
        parts.close()
    return {"text": text, "error": error, "status": status}


def answer(asked):
    if not isinstance(asked, list):
        return run(asked)
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(run, asked))


print(json.dumps(list(CLIENTS)), flush=True)
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
