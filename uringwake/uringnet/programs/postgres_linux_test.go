package programs_test

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startPostgres starts a server, and returns the hosts and the port at which it is.
func startPostgres(t *testing.T) (hosts map[string]string, port string) {
	t.Helper()
	const debian = "/usr/lib/postgresql/*/bin"
	server, initdb := program(t, "postgres", debian), program(t, "initdb", debian)
	port, dir := freePort(t), socketDir(t)
	out, err := asNobody(t, exec.Command(initdb, "-D", dir+"/data", "-U", "tester", "-A", "trust", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"), dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	daemon(t, asNobody(t, exec.Command(server, "-D", dir+"/data", "-k", dir, "-h", "127.0.0.1", "-p", port, "-F"), dir))
	hosts = map[string]string{"tcp": "127.0.0.1", "unix": dir}
	eventually(t, "postgres answers", func() bool {
		conn, err := pgx.Connect(t.Context(), settings(dir, port))
		return err == nil && conn.Close(t.Context()) == nil
	})
	return hosts, port
}

func settings(host, port string) string {
	return "user=tester dbname=postgres sslmode=disable host=" + host + " port=" + port
}

// inPostgres runs f in each world, on connections of each network.
func inPostgres(t *testing.T, hosts map[string]string, port string, f func(t *testing.T, o *pgxpool.Config)) {
	inWorlds(t, func(t *testing.T, w world) {
		for network, at := range hosts {
			t.Run(network, func(t *testing.T) {
				o, err := pgxpool.ParseConfig(settings(at, port))
				require.NoError(t, err)
				o.MaxConns = 4
				o.ConnConfig.DialFunc = w.dial
				f(t, o)
			})
		}
	})
}

func newPool(t *testing.T, o *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// TestPostgres has one server for its tests, because to start one takes seconds.
func TestPostgres(t *testing.T) {
	hosts, port := startPostgres(t)
	for name, f := range map[string]func(t *testing.T, o *pgxpool.Config){
		"queries": queries, "copy": copies, "liveness": liveness, "deadline": queryDeadline,
		"cancel": queryCancel, "cancel request": cancelRequest, "notify": notifications,
	} {
		t.Run(name, func(t *testing.T) { inPostgres(t, hosts, port, f) })
	}
}

func queries(t *testing.T, o *pgxpool.Config) {
	pool := newPool(t, o)
	var all sync.WaitGroup
	for client := range 8 {
		all.Go(func() {
			for i := range 20 {
				text, got := strings.Repeat(strconv.Itoa(client), 1000*i), ""
				assert.NoError(t, pool.QueryRow(t.Context(), "select $1::text", text).Scan(&got))
				assert.True(t, text == got, "another value")
			}
		})
	}
	all.Wait()
	works(t, pool)
}

// works checks that a pool can be used.
func works(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	n := 0
	require.NoError(t, pool.QueryRow(t.Context(), "select 6*7").Scan(&n))
	require.Equal(t, 42, n)
}

// copies sends a table each way.
func copies(t *testing.T, o *pgxpool.Config) {
	conn, err := newPool(t, o).Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "create temporary table lines (line text)")
	require.NoError(t, err)
	var table bytes.Buffer
	for i := range 20_000 {
		table.WriteString(strings.Repeat(strconv.Itoa(i), 30) + "\n")
	}
	_, err = conn.Conn().PgConn().CopyFrom(t.Context(), bytes.NewReader(table.Bytes()), "copy lines from stdin")
	require.NoError(t, err)
	var got bytes.Buffer
	_, err = conn.Conn().PgConn().CopyTo(t.Context(), &got, "copy lines to stdout")
	require.NoError(t, err)
	require.True(t, bytes.Equal(table.Bytes(), got.Bytes()), "another table")
}

// liveness closes the server's end of all idle connections. The pool pings each before
// it hands it out.
func liveness(t *testing.T, o *pgxpool.Config) {
	o.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	pool := newPool(t, o)
	all := func() (pids []uint32) {
		var held []*pgxpool.Conn
		for range o.MaxConns {
			conn, err := pool.Acquire(t.Context())
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), "select 1")
			require.NoError(t, err)
			held, pids = append(held, conn), append(pids, conn.Conn().PgConn().PID())
		}
		for _, conn := range held {
			conn.Release()
		}
		return pids
	}
	before := all()
	require.ElementsMatch(t, before, all())
	killer, err := pgx.Connect(t.Context(), o.ConnString())
	require.NoError(t, err)
	defer killer.Close(t.Context())
	for _, pid := range before {
		_, err := killer.Exec(t.Context(), "select pg_terminate_backend($1, 60000)", int32(pid))
		require.NoError(t, err)
	}
	for _, pid := range all() {
		require.NotContains(t, before, pid)
	}
}

func queryDeadline(t *testing.T, o *pgxpool.Config) {
	pool := newPool(t, o)
	works(t, pool) // so that there is a connection
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := pool.Exec(ctx, "select pg_sleep(60)")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	works(t, pool)
}

// queryCancel breaks a query off in the middle of its rows.
func queryCancel(t *testing.T, o *pgxpool.Config) {
	pool := newPool(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rows, err := pool.Query(ctx, "select generate_series(1, 1000000000)")
	require.NoError(t, err)
	for range 10_000 {
		require.True(t, rows.Next())
	}
	cancel()
	for rows.Next() {
	}
	require.ErrorIs(t, rows.Err(), context.Canceled)
	works(t, pool)
}

// cancelRequest has the driver ask the server, on another connection, to end the query.
// The first connection is kept.
func cancelRequest(t *testing.T, o *pgxpool.Config) {
	o.MaxConns = 1
	o.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Minute}
	}
	pool := newPool(t, o)
	pid := func() (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&n))
		return n
	}
	before := pid()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := pool.Exec(ctx, "select pg_sleep(60)")
	require.Error(t, err)
	require.Equal(t, before, pid())
}

// notifications times out while it waits for one. The connection still works.
func notifications(t *testing.T, o *pgxpool.Config) {
	pool := newPool(t, o)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	channel := pgx.Identifier{t.Name()}.Sanitize()
	_, err = conn.Exec(t.Context(), "listen "+channel)
	require.NoError(t, err)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), short)
		_, err = conn.Conn().WaitForNotification(ctx)
		cancel()
		require.True(t, pgconn.Timeout(err), "%v", err)
		_, err = pool.Exec(t.Context(), "notify "+channel+", 'hello'")
		require.NoError(t, err)
		n, err := conn.Conn().WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "hello", n.Payload)
	}
}
