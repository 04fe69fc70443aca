// clickhouse-go over HTTP against the address and password of the command line; exits with 1 where something is wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

func must(right bool, what ...any) {
	if !right {
		fmt.Println(what...)
		os.Exit(1)
	}
}

func try(method clickhouse.CompressionMethod, password string) {
	ctx := context.Background()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol: clickhouse.HTTP, Addr: []string{os.Args[1]},
		Auth:        clickhouse.Auth{Database: "default", Username: "default", Password: password},
		Compression: &clickhouse.Compression{Method: method},
	})
	must(err == nil, "open", err)
	if password != os.Args[2] {
		err = conn.Ping(ctx)
		must(err != nil && strings.Contains(err.Error(), "516"), "login", err)
		return
	}
	must(conn.Exec(ctx, `CREATE OR REPLACE TABLE go (a UInt64, s LowCardinality(String), t DateTime('Asia/Tokyo'),
		n Nullable(Int32), m Map(String, UInt8), x Array(String)) ENGINE = MergeTree ORDER BY a`) == nil, "create")
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO go")
	must(err == nil, "prepare", err)
	for i := range 1000 {
		n := int32(i)
		err = batch.Append(uint64(i), "s$", time.Unix(0, 0), &n, map[string]uint8{"k": 1}, []string{"x"})
		must(err == nil, "append", err)
	}
	must(batch.Send() == nil, "send")
	var (
		a uint64
		s string
		t time.Time
		n *int32
		m map[string]uint8
		x []string
	)
	row := conn.QueryRow(ctx, "SELECT * FROM go WHERE a = {a:UInt64} AND s = {s:String}",
		clickhouse.Named("a", "7"), clickhouse.Named("s", "s$"))
	err = row.Scan(&a, &s, &t, &n, &m, &x)
	must(err == nil && a == 7 && *n == 7 && m["k"] == 1 && x[0] == "x", "scan", err, a, s, n, m, x)
	must(t.Location().String() == "Asia/Tokyo" && t.Unix() == 0, "zone", t)
	rows, err := conn.Query(ctx, "SELECT number, toString(number) FROM numbers(300000)")
	must(err == nil, "query", err)
	count := 0
	for rows.Next() {
		must(rows.Scan(&a, &s) == nil, "scan")
		count++
	}
	must(count == 300000 && rows.Err() == nil, "rows", count, rows.Err())
	rows, err = conn.Query(ctx, "SELECT throwIf(number = 3000000) FROM numbers(4000000) SETTINGS max_threads = 1")
	must(err == nil, "query", err)
	for rows.Next() {
	}
	must(rows.Err() != nil && strings.Contains(rows.Err().Error(), "395"), "late error", rows.Err())
	_, err = conn.Query(ctx, "SELECT * FROM nowhere")
	must(err != nil && strings.Contains(err.Error(), "code: 60"), "error", err)
}

func main() {
	for _, method := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP,
		clickhouse.CompressionBrotli, clickhouse.CompressionDeflate,
	} {
		try(method, os.Args[2])
	}
	try(clickhouse.CompressionLZ4, "wrong")
}
