// A plain OpenTelemetry client for Node.js that sends predictions over OTLP/HTTP
// (JSON), as log records or as spans. It uses nothing of otel-mlmon, so that the
// end-to-end tests show what an application in another language gets.
//
// Exit status: 0 when everything was exported, 1 when not, 2 on a wrong argument.
import { parseArgs } from 'node:util';

import { DiagLogLevel, diag } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const USAGE =
  'usage: node client.mjs --endpoint http://127.0.0.1:4318 --count N --mode logs|spans --model NAME';
// The SDK drops what does not fit in its queue of 2048, so the client flushes
// after every batch.
const BATCH = 512;

function parseOptions() {
  const { values } = parseArgs({
    options: {
      endpoint: { type: 'string', default: 'http://127.0.0.1:4318' },
      count: { type: 'string', default: '10' },
      mode: { type: 'string', default: 'logs' },
      model: { type: 'string', default: 'demo' },
    },
  });
  const { endpoint, mode, model } = values;
  if (!/^[0-9]+$/.test(values.count)) throw new Error(`not a count: ${values.count}`);
  if (!['logs', 'spans'].includes(mode)) throw new Error(`not a mode: ${mode}`);
  return { endpoint: endpoint.replace(/\/+$/, ''), count: Number(values.count), mode, model };
}

// JavaScript has one type of number and the SDK sends whole ones as integers, so
// the values that are meant to be floats are never whole.
function attributesOf(index, { mode, model }) {
  return {
    'mlmon.model.name': model,
    'mlmon.model.version': '1',
    'mlmon.prediction.id': `node-${mode}-${index}`,
    'mlmon.prediction.value': (index % 10) / 10 + 0.05,
    'mlmon.feature.amount': (index % 100) * 1.5 + 0.25,
    'mlmon.feature.age': 18 + (index % 60),
    'mlmon.feature.country': ['DE', 'FR', 'IT', 'ES'][index % 4],
    'mlmon.feature.member': index % 3 === 0,
  };
}

// Keeps what went wrong, which the SDK would only pass to its logger.
class Failures {
  messages = [];

  watch(exporter) {
    const send = exporter.export.bind(exporter);
    exporter.export = (batch, done) =>
      send(batch, (result) => {
        if (result.code !== 0) this.add(result.error ?? 'export failed');
        done(result);
      });
    return exporter;
  }

  // A partial success, where the receiver rejected some records, is a warning.
  watchDiagnostics() {
    const ignore = () => {};
    const add = (...parts) => this.add(...parts);
    const logger = { error: add, warn: add, info: ignore, debug: ignore, verbose: ignore };
    diag.setLogger(logger, DiagLogLevel.WARN);
  }

  add(...parts) {
    this.messages.push(parts.map((part) => part?.message ?? JSON.stringify(part)).join(' '));
  }
}

async function sendLogs(options, resource, failures) {
  const exporter = failures.watch(new OTLPLogExporter({ url: `${options.endpoint}/v1/logs` }));
  const provider = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter })],
  });
  const logger = provider.getLogger('node-client');
  for (let index = 0; index < options.count; index += 1) {
    logger.emit({
      eventName: 'mlmon.prediction',
      severityNumber: SeverityNumber.INFO,
      timestamp: Date.now(),
      attributes: attributesOf(index, options),
    });
    if ((index + 1) % BATCH === 0) await provider.forceFlush();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

async function sendSpans(options, resource, failures) {
  const exporter = failures.watch(new OTLPTraceExporter({ url: `${options.endpoint}/v1/traces` }));
  const provider = new NodeTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer('node-client');
  for (let index = 0; index < options.count; index += 1) {
    const attributes = attributesOf(index, options);
    tracer.startSpan(`predict ${options.model}`, { attributes }).end();
    if ((index + 1) % BATCH === 0) await provider.forceFlush();
  }
  await provider.forceFlush();
  await provider.shutdown();
}

async function main() {
  let options;
  try {
    options = parseOptions();
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    return 2;
  }
  const failures = new Failures();
  failures.watchDiagnostics();
  const resource = resourceFromAttributes({ 'service.name': 'node-client' });
  try {
    await (options.mode === 'logs' ? sendLogs : sendSpans)(options, resource, failures);
  } catch (error) {
    failures.add(error);
  }
  if (failures.messages.length > 0) {
    console.error(failures.messages.join('\n'));
    return 1;
  }
  console.log(`sent ${options.count} ${options.mode}`);
  return 0;
}

process.exitCode = await main();
