package console

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Config configures a Console.
type Config struct {
	// Store and Pool read the trail. Pool is for the sealed log. Required.
	Store *coordaudit.Store
	Pool  *pgxpool.Pool

	// Scope is whose records the console shows. Required, unless TenantHeader names it.
	Scope audit.Scope

	// TenantHeader is the header by which a trusted proxy names the tenant of each request.
	// TrustedProxies are the addresses of those proxies. They need each other, and no Scope.
	TenantHeader   string
	TrustedProxies []netip.Prefix

	// Token is what a request must present. Defaults to none.
	Token string

	// Loopback says that the console listens on the loopback interface alone. Then a request
	// must name the host so, or by one of Hosts: another name is a sign of DNS rebinding.
	// Without Loopback the host is checked if there are Hosts.
	Loopback bool
	Hosts    []string

	// Verifier is the public key of the sealed log. With it proofs are verified. Defaults to
	// none.
	Verifier note.Verifier

	// TraceURL is the address of a trace, with {trace_id} for its id. Defaults to none.
	TraceURL string

	// QueryTimeout bounds a query. Defaults to 10 s. AccountTimeout bounds an account of all
	// sources, which reads the whole table. Defaults to 1 minute.
	QueryTimeout, AccountTimeout time.Duration

	// MaxQueries is how many queries run at once. Defaults to 8. MaxWatchers is how many
	// clients watch the live tail at once. Defaults to 100.
	MaxQueries, MaxWatchers int

	// RequestRate is how many requests a second one client may make, and RequestBurst how many
	// at once. Default to 20 and 60.
	RequestRate, RequestBurst int

	// Poll is the time between two looks at the trail while someone watches. Defaults to 1 s.
	Poll time.Duration

	// Logger receives the faults that a request does not cause. Defaults to slog.Default().
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	for _, of := range []struct {
		value *int
		usual int
	}{{&c.MaxQueries, 8}, {&c.MaxWatchers, 100}, {&c.RequestRate, 20}, {&c.RequestBurst, 60}} {
		if *of.value <= 0 {
			*of.value = of.usual
		}
	}
	for _, of := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&c.QueryTimeout, 10 * time.Second}, {&c.AccountTimeout, time.Minute}, {&c.Poll, time.Second}} {
		if *of.value <= 0 {
			*of.value = of.usual
		}
	}
}

func (c *Config) validate() error {
	if c.Store == nil || c.Pool == nil {
		return errors.New("opening the console: no store is given")
	}
	if c.TenantHeader == "" {
		if len(c.TrustedProxies) > 0 {
			return errors.New("opening the console: trusted proxies are given, and no header of theirs: name the header")
		}
		if err := c.Scope.Validate(); err != nil {
			return fmt.Errorf("opening the console: %w", err)
		}
		return nil
	}
	if len(c.TrustedProxies) == 0 {
		return errors.New("opening the console: a header names the tenant, and no proxy is trusted: give the proxy's address")
	}
	if c.Scope.Validate() == nil {
		return errors.New("opening the console: a header names the tenant, and a scope is given as well: leave one out")
	}
	return nil
}

// Console serves the pages. Close it.
type Console struct {
	config  Config
	token   [sha256.Size]byte
	files   assets
	pages   pages
	places  places
	limiter *limiter
	queries chan struct{} // as many slots as queries may run
	account *accounts
	hub     *hub
	handler http.Handler

	stop   context.CancelFunc
	joined sync.WaitGroup
}

// New opens a console. What it runs ends with ctx, or with Close.
func New(ctx context.Context, config Config) (*Console, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.setDefaults()
	files, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	pages, err := parsePages()
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	places, err := newPlaces()
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	c := &Console{
		config: config, token: sha256.Sum256([]byte(config.Token)), files: files, pages: pages, places: places,
		limiter: newLimiter(float64(config.RequestRate), float64(config.RequestBurst)),
		queries: make(chan struct{}, config.MaxQueries),
		account: newAccounts(), stop: stop,
	}
	scope := config.Scope
	if config.TenantHeader != "" {
		scope = audit.AllTenants() // each watcher sees its own part
	}
	c.hub = newHub(config.Store, scope, config.Poll, config.Logger, config.MaxWatchers)
	c.handler = c.routes()
	c.joined.Go(func() { c.hub.run(ctx) })
	return c, nil
}

// Handler answers the requests.
func (c *Console) Handler() http.Handler { return c.handler }

// EndTails ends the live tails, whose requests would otherwise never end.
func (c *Console) EndTails() { c.hub.close() }

// Close ends what the console runs. It does not close the store.
func (c *Console) Close() {
	c.hub.close()
	c.stop()
	c.joined.Wait()
}
