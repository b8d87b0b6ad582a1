package testdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin"
)

// ClusterVariable is the URL of a database on the coordinator of a Citus cluster, with the extension
// and its workers. With it, each test database stands under one name on every node, and the trail of
// a migrated one is distributed.
const ClusterVariable = "COORDAUDIT_TEST_CITUS_URL"

// NeedsCluster skips a test that needs a cluster where there is none.
func NeedsCluster(tb testing.TB) {
	tb.Helper()
	if os.Getenv(ClusterVariable) == "" {
		tb.Skip("needs a Citus cluster: " + ClusterVariable + " (make test-citus)")
	}
}

// NewOnCluster returns a migrated database on the cluster of [ClusterVariable], distributed if so
// asked. The test is skipped where there is none.
func NewOnCluster(tb testing.TB, distributed bool) *DB {
	tb.Helper()
	NeedsCluster(tb)
	if distributed {
		return New(tb)
	}
	db := NewEmpty(tb)
	if err := migrateUp(tb.Context(), db.Pool.Config().ConnConfig); err != nil {
		tb.Fatalf("migrating a test database: %v", err)
	}
	return db
}

// LoseWorker makes a worker refuse every session in this database, as one that is away does for all.
// It returns the worker as host:port, and what lets it answer again.
func (db *DB) LoseWorker(tb testing.TB) (name string, back func()) {
	tb.Helper()
	host := shared(tb)
	nodes, err := host.nodes(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	worker, database := nodes[0], db.Pool.Config().ConnConfig.Database
	run := func(statements ...string) {
		if err := runAlone(context.Background(), host.adminOf(worker), statements); err != nil {
			tb.Errorf("on a worker: %v", err)
		}
	}
	run("ALTER DATABASE "+database+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+database+"'")
	return worker.name(), func() { run("ALTER DATABASE " + database + " ALLOW_CONNECTIONS true") }
}

// node is a server of a cluster, as the other nodes know it.
type node struct {
	group int
	host  string
	port  uint16
}

func (n node) name() string { return net.JoinHostPort(n.host, strconv.Itoa(int(n.port))) }

// nodes lists the nodes of the cluster, the coordinator last.
func (h *Host) nodes(ctx context.Context) ([]node, error) {
	conn, err := pgx.ConnectConfig(ctx, h.address.admin)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT groupid, nodename, nodeport FROM pg_dist_node WHERE isactive AND noderole = 'primary' ORDER BY groupid DESC")
	if err != nil {
		return nil, fmt.Errorf("listing the nodes of the cluster: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n node, err error) {
		err = row.Scan(&n.group, &n.host, &n.port)
		return n, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the nodes of the cluster: %w", err)
	}
	if len(list) < 2 || list[len(list)-1].group != 0 {
		return nil, errors.New(ClusterVariable + " names no coordinator with workers: run citus_set_coordinator_host and citus_add_node in its database")
	}
	return list, nil
}

// adminOf is the configuration of a connection to a node. The coordinator is reached as the URL says.
func (h *Host) adminOf(n node) *pgx.ConnConfig {
	config := h.address.admin.Copy()
	if n.group == 0 {
		return config
	}
	config.Host, config.Port = n.host, n.port
	for _, fallback := range config.Fallbacks { // without TLS, say
		fallback.Host, fallback.Port = n.host, n.port
	}
	return config
}

// onNodes runs statements one by one on every node, all nodes at once.
func (h *Host) onNodes(ctx context.Context, database string, statements ...string) error {
	nodes, err := h.nodes(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(nodes))
	var running sync.WaitGroup
	for i, n := range nodes {
		config := h.adminOf(n)
		if database != "" {
			config.Database = database
		}
		running.Go(func() {
			if err := runAlone(ctx, config, statements); err != nil {
				errs[i] = fmt.Errorf("on node %s: %w", n.name(), err)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func runAlone(ctx context.Context, config *pgx.ConnConfig, statements []string) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err = conn.Exec(ctx, sql); err != nil {
			err = fmt.Errorf("%s: %w", sql, err)
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}

// createOnCluster makes an empty database on every node and makes a cluster of them, or clones the
// template node by node, which has the extension, the nodes and the shards. The triggers that tests
// add need the setting.
func (h *Host) createOnCluster(ctx context.Context, name, template string) error {
	if template != "" {
		return h.onNodes(ctx, "",
			"CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy",
			"ALTER DATABASE "+name+" SET citus.enable_unsafe_triggers = on",
			"ALTER DATABASE "+name+" SET citus.all_modifications_commutative = on") // as docs/citus.md says
	}
	if err := h.onNodes(ctx, "", "CREATE DATABASE "+name); err != nil {
		return err
	}
	if err := h.onNodes(ctx, name, "CREATE EXTENSION citus"); err != nil {
		return err
	}
	nodes, err := h.nodes(ctx)
	if err != nil {
		return err
	}
	config := h.address.admin.Copy()
	config.Database = name
	statements := make([]string, 0, len(nodes))
	for i := range nodes { // the coordinator first
		n := nodes[len(nodes)-1-i]
		call := "citus_add_node"
		if n.group == 0 {
			call = "citus_set_coordinator_host"
		}
		statements = append(statements, fmt.Sprintf("SELECT %s('%s', %d)", call, n.host, n.port))
	}
	for range 3 { // a node that makes many databases may end a connection
		if err = runAlone(ctx, config, statements); err == nil {
			break
		}
	}
	return err
}

// dropOnCluster drops a database, on the coordinator first, so that nothing asks the workers for it.
func (h *Host) dropOnCluster(ctx context.Context, name string) {
	drop := "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"
	if err := runAlone(ctx, h.address.admin, []string{drop}); err != nil {
		return // a test has killed the cluster
	}
	_ = h.onNodes(ctx, "", drop)
}

// sweepCluster is sweep on every node. A daemon of Citus keeps each database busy.
func (h *Host) sweepCluster(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, h.address.admin)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	left, err := leftovers(ctx, conn, now)
	if err != nil {
		return
	}
	for _, found := range left {
		h.dropOnCluster(ctx, found.name)
	}
}

// distribute distributes the trail of a new template.
func distribute(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	_, err = auditadmin.Distribute(ctx, conn, auditadmin.DistributeConfig{})
	return errors.Join(err, conn.Close(ctx))
}

// keepAsTemplate ends the daemons of Citus, which would keep a database from being cloned, and gives
// it the template's name.
func (h *Host) keepAsTemplate(ctx context.Context, building, name string) error {
	return h.onNodes(ctx, "",
		"ALTER DATABASE "+building+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+building+"'",
		"ALTER DATABASE "+building+" RENAME TO "+name,
		"ALTER DATABASE "+name+" IS_TEMPLATE true",
	)
}
