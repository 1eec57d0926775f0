"""A model server for tests, in the standard library: what OpenAI's and Anthropic's clients ask, answered in their words.

`python model_server.py --port P --model NAME` serves one model and says in each answer which one, and how long its
request's body was.
"""

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = ""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self.answer({"object": "list", "data": [{"id": self.model, "object": "model"}]})
        else:
            self.answer({"status": "ok"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
        if self.path == "/v1/audio/transcriptions":
            self.answer({"text": f"{self.model} heard {len(body)}"})
            return
        asked = json.loads(body)
        text = f"{self.model} read {len(body)}"
        if self.path == "/v1/messages":
            self.messages(asked, text)
        elif self.path == "/v1/embeddings":
            vector = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            self.answer({"object": "list", "model": asked["model"], "data": vector, "usage": usage})
        else:
            self.completions(asked, text)

    def completions(self, asked: dict[str, Any], text: str) -> None:
        head = {"id": "c", "created": int(time.time()), "model": asked["model"]}
        if not asked.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            self.answer({**head, "object": "chat.completion", "choices": [choice]})
            return
        self.begin_events()
        for word in text.split(" "):
            choice = {"index": 0, "finish_reason": None, "delta": {"content": word + " "}}
            self.event({**head, "object": "chat.completion.chunk", "choices": [choice]})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def messages(self, asked: dict[str, Any], text: str) -> None:
        usage = {"input_tokens": 1, "output_tokens": 1}
        message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": asked["model"], "usage": usage}
        if not asked.get("stream"):
            content = [{"type": "text", "text": text}]
            self.answer({**message, "content": content, "stop_reason": "end_turn", "stop_sequence": None})
            return
        self.begin_events()
        self.event({"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "stop_sequence": None}})
        self.event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        for word in text.split(" "):
            self.event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word + " "}})
        self.event({"type": "content_block_stop", "index": 0})
        self.event({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage})
        self.event({"type": "message_stop"})
        self.chunk(b"")

    def answer(self, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, said: dict[str, Any]) -> None:
        kind = f"event: {said['type']}\n" if "type" in said else ""
        self.chunk(f"{kind}data: {json.dumps(said)}\n\n".encode())

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def chunks(self) -> bytes:
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--model")
    order = parser.parse_args()
    Handler.model = order.model
    ThreadingHTTPServer(("127.0.0.1", order.port), Handler).serve_forever()
