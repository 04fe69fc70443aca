// @clickhouse/client against the address and password of the command line; an exception where something is wrong.
import assert from 'node:assert/strict'
import { createClient } from '@clickhouse/client'

const [, , url, password] = process.argv
const slow = 'SELECT sleepEachRow(1) FROM numbers(100) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0'

for (const compression of [undefined, { request: true, response: true }]) {
  const client = createClient({ url, username: 'default', password, compression, log: { level: 127 } })
  const ask = async (query, query_params) =>
    (await client.query({ query, query_params, format: 'JSONEachRow' })).json()
  const running = async (id) =>
    Number((await ask('SELECT count() AS n FROM system.processes WHERE query_id = {id:String}', { id }))[0].n)

  assert((await client.ping()).success)
  await client.command({ query: 'CREATE OR REPLACE TABLE node (a UInt64, s String) ENGINE = MergeTree ORDER BY a' })
  await client.insert({ table: 'node', values: [{ a: 1, s: 'y$;' }], format: 'JSONEachRow' })
  await client.insert({ table: 'node', values: [[2, 'z']], columns: ['a', 's'], format: 'JSONCompactEachRow' })
  await client.insert({ table: 'node', values: [[3]], columns: { except: ['s'] }, format: 'JSONCompactEachRow' })
  assert.deepEqual(await ask('SELECT sum(a) AS n FROM node WHERE s != {s:String}', { s: "it's $1\n\\" }), [{ n: 6 }])
  let rows = 0
  const many = await client.query({ query: 'SELECT number FROM numbers(300000)', format: 'JSONCompactEachRow' })
  for await (const some of many.stream()) rows += some.length
  assert.equal(rows, 300000)
  await assert.rejects(ask('SELECT nope'), { code: '47' })

  const id = crypto.randomUUID()
  const killed = assert.rejects(client.command({ query: slow, query_id: id }), { code: '394' })
  while (!(await running(id)));
  await client.command({ query: `KILL QUERY WHERE query_id = '${id}' SYNC` })
  await killed

  const left = crypto.randomUUID()
  const abort = new AbortController()
  const settings = { cancel_http_readonly_queries_on_client_close: 1 }
  const aborted = assert.rejects(
    client.query({ query: slow, query_id: left, abort_signal: abort.signal, clickhouse_settings: settings }))
  while (!(await running(left)));
  abort.abort()
  await aborted
  while (await running(left));
  await client.close()
}
