"""Sends traces with the OpenTelemetry Python SDK and prints, as JSON, what it sent.

usage: send_traces.py {grpc|http} ENDPOINT TRACES [HEADER=VALUE ...]

Each trace has a server span with every attribute type, an event and a link, and a client span under it.
The output is a list of traces: {"trace_id", "spans": [{span_id, parent_id, name, attributes, events, links}]}.
"""

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, get_current_span


def exporter(protocol, endpoint, headers):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, insecure=True, headers=tuple(headers.items()))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint + "/v1/traces", headers=headers)


class Checked(SpanExporter):
    """Passes spans on and remembers whether every export was answered with success."""

    def __init__(self, inner):
        self.inner, self.failed = inner, 0

    def export(self, spans):
        result = self.inner.export(spans)
        self.failed += result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.inner.shutdown()


def attributes(values):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in (values or {}).items()}


def describe(span):
    return {
        "span_id": format(span.context.span_id, "016x"),
        "parent_id": format(span.parent.span_id, "016x") if span.parent else "",
        "name": span.name,
        "start": span.start_time,
        "end": span.end_time,
        "attributes": attributes(span.attributes),
        "events": [{"name": e.name, "time": e.timestamp, "attributes": attributes(e.attributes)} for e in span.events],
        "links": [
            {
                "trace_id": format(link.context.trace_id, "032x"),
                "span_id": format(link.context.span_id, "016x"),
                "attributes": attributes(link.attributes),
            }
            for link in span.links
        ],
    }


def one_trace(tracer, number):
    linked = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB9C7C989F97918E1, True, TraceFlags(1))
    with tracer.start_as_current_span(
        "POST /orders", kind=SpanKind.SERVER, links=[Link(linked, {"kind": "retry"})]
    ) as server:
        server.set_attributes(
            {
                "http.method": "POST",
                "http.status_code": 500 + number % 4,
                "order.number": number,
                "retry": False,
                "ratio": 0.1 + number,
                "tags": ["a", "b", "größe"],
                "sizes": [1, 2, 3],
                "empty": "",
            }
        )
        server.add_event("exception", {"exception.type": "IOError", "exception.stacktrace": "line\n" * 50})
        server.set_status(Status(StatusCode.ERROR, "boom"))
        with tracer.start_as_current_span("INSERT orders", kind=SpanKind.CLIENT) as client:
            client.set_attributes({"db.system": "postgresql", "db.rows": number})
            return server, client, get_current_span()


def main():
    protocol, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    headers = dict(argument.split("=", 1) for argument in sys.argv[4:])
    checked = Checked(exporter(protocol, endpoint, headers))
    resource = Resource.create({"service.name": "orders", "deployment.environment": "prod"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(checked))
    tracer = provider.get_tracer("acme-http", "1.4.0")
    traces = []
    for number in range(count):
        server, client, _ = one_trace(tracer, number)
        trace_id = format(server.context.trace_id, "032x")
        traces.append({"trace_id": trace_id, "spans": [describe(server), describe(client)]})
    provider.force_flush(120_000)
    provider.shutdown()
    if checked.failed:
        sys.exit(f"{checked.failed} exports were not accepted")
    json.dump(traces, sys.stdout)


main()
