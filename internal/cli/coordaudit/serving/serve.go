// Package serving has the command serve, which runs the console of internal/console.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/console"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
)

// Serve is the command serve.
type Serve struct {
	Listen      string        `default:"127.0.0.1:8080" help:"The address to listen on. Any but a loopback address needs --token-file."`
	Scope       scopeFlags    `embed:""`
	Proxies     []string      `name:"trusted-proxy" placeholder:"CIDR" help:"A proxy whose --tenant-header counts: an address, or a network such as 10.0.0.0/24. May be repeated."`
	TokenFile   string        `placeholder:"FILE" help:"A file with the token that each request must present, as Authorization: Bearer or as the password of HTTP Basic. Only its owner may read the file."`
	Hosts       []string      `name:"host" placeholder:"NAME" help:"A name under which browsers reach the console, besides those of the loopback interface. May be repeated."`
	Key         string        `placeholder:"KEY" help:"Verify the proofs of records with this key. ${key_help}"`
	TraceURL    string        `name:"trace-url" placeholder:"URL" help:"The address of a trace in your tracing system, with {trace_id} in the place of its id."`
	Timeout     time.Duration `default:"10s" help:"How long a query may take."`
	Account     time.Duration `name:"account-timeout" default:"1m" help:"How long an account of all sources may take. It reads the whole table."`
	MaxQueries  int           `default:"8" help:"How many queries run at once."`
	MaxWatchers int           `default:"100" help:"How many clients watch the live tail at once."`
}

// Help is shown below the command's usage.
func (c *Serve) Help() string {
	return "Serves read-only pages: search, the record with its explanation and proof, timeline, signals, completeness, seal and a live tail. Each page is a link to share. " +
		"No page shows a record outside the scope. With --tenant-header, a trusted proxy names the tenant of each request, and a request that does not come from it is refused.\n\n" +
		"Run coordaudit serve --all-tenants, for example, and open http://127.0.0.1:8080. It speaks HTTP. Put a proxy with TLS before it where others use it. It needs a role that may only read.\n\n" +
		"Exit status: 0 stopped, 1 failed, 2 wrong usage."
}

// scopeFlags are those of the other commands, and a header that names the tenant.
type scopeFlags struct {
	Tenant       *string `xor:"scope" required:"" placeholder:"ID" help:"The scope is the records of this tenant."`
	NoTenant     bool    `xor:"scope" required:"" help:"The scope is the records that belong to no tenant."`
	AllTenants   bool    `xor:"scope" required:"" help:"The scope is all records."`
	TenantHeader *string `xor:"scope" required:"" placeholder:"NAME" help:"The scope is the tenant that a trusted proxy names in this header of each request. It needs --trusted-proxy."`
}

func (f scopeFlags) shared() shared.ScopeFlags {
	return shared.ScopeFlags{Tenant: f.Tenant, NoTenant: f.NoTenant, AllTenants: f.AllTenants}
}

// Validate is called by kong.
func (c *Serve) Validate() error {
	errs := []error{c.Scope.shared().Validate()}
	if (c.Scope.TenantHeader != nil) != (len(c.Proxies) > 0) {
		errs = append(errs, errors.New("--tenant-header and --trusted-proxy need each other"))
	}
	if c.Scope.TenantHeader != nil && !isHeaderName(*c.Scope.TenantHeader) {
		errs = append(errs, errors.New("--tenant-header must be the name of a header, such as X-Tenant"))
	}
	if c.TraceURL != "" && !strings.Contains(c.TraceURL, "{trace_id}") {
		errs = append(errs, errors.New("--trace-url must contain {trace_id}"))
	}
	if c.Timeout <= 0 || c.Account <= 0 || c.MaxQueries <= 0 || c.MaxWatchers <= 0 {
		errs = append(errs, errors.New("--timeout, --account-timeout, --max-queries and --max-watchers must be positive"))
	}
	if c.MaxQueries > mostQueries {
		errs = append(errs, fmt.Errorf("--max-queries may be %s at most", format.Thousands(mostQueries)))
	}
	for _, host := range c.Hosts {
		if _, ok := hostName(host); !ok {
			errs = append(errs, errors.New("--host must be a name or an address, without a scheme and a port"))
		}
	}
	return shared.Together(errs...)
}

// mostQueries bounds the connections that the console opens.
const mostQueries = 1000

// hostName is a name as it stands in a request, without the brackets of an IPv6 address and the
// dot that ends a full name.
func hostName(text string) (name string, ok bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return addr.String(), true
	}
	name = strings.TrimSuffix(text, ".")
	for _, r := range name {
		if r <= ' ' || strings.ContainsRune(":/?#@[]\\", r) {
			return "", false
		}
	}
	return name, name != ""
}

func isHeaderName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", r) {
			return false
		}
	}
	return name != ""
}

const triedServing = "serving the console"

// Run is called by kong.
func (c *Serve) Run(ctx context.Context, p *cli.Program, db *shared.Database) error {
	if err := c.checkAddress(); err != nil {
		return err
	}
	config, err := c.config(p)
	if err != nil {
		return err
	}
	listener, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer listener.Close() //nolint:errcheck // the server has closed it
	pool, store, err := openReading(ctx, db, triedServing, c.reads())
	if err != nil {
		return err
	}
	defer pool.Close()
	defer store.Close()
	config.Pool, config.Store = pool, store
	served, err := console.New(ctx, config)
	if err != nil {
		return &cli.ShownError{Tried: triedServing, Cause: err}
	}
	defer served.Close()
	p.Warn("serving http://%s for %s; stop it with an interrupt", listener.Addr(), c.whose())
	if err := served.Serve(ctx, listener); err != nil {
		return &cli.ShownError{Tried: triedServing, Cause: err}
	}
	return nil
}

func (c *Serve) whose() string {
	if header := c.Scope.TenantHeader; header != nil {
		return "the tenant that " + *header + " names"
	}
	return format.Folded(c.Scope.shared().Scope().String())
}

// config reads everything that the command line names.
func (c *Serve) config(p *cli.Program) (console.Config, error) {
	config := console.Config{
		TraceURL: c.TraceURL, QueryTimeout: c.Timeout, AccountTimeout: c.Account, MaxQueries: c.MaxQueries, MaxWatchers: c.MaxWatchers,
		Logger: slog.New(slog.NewTextHandler(p.Stderr, nil)), Loopback: c.isLoopback(),
	}
	for _, text := range c.Hosts {
		host, _ := hostName(text) // Validate has checked it
		config.Hosts = append(config.Hosts, host)
	}
	var err error
	if c.TokenFile != "" {
		if config.Token, err = cli.LoadKey(triedServing, c.TokenFile, readToken); err != nil {
			return config, err
		}
	} else if !config.Loopback {
		return config, cli.Usage(triedServing, fmt.Errorf("%s can be reached from other machines, and no token is given", format.Printable(c.Listen)),
			"pass --token-file, or listen on 127.0.0.1")
	}
	if c.Key != "" {
		if config.Verifier, err = cli.LoadKey(triedServing, c.Key, seal.LoadVerifier); err != nil {
			return config, err
		}
	}
	if c.Scope.TenantHeader == nil {
		config.Scope = c.Scope.shared().Scope()
		if err := config.Scope.Validate(); err != nil {
			return config, shared.ReadFailed(triedServing, err)
		}
		return config, nil
	}
	config.TenantHeader = *c.Scope.TenantHeader
	config.TrustedProxies, err = parseProxies(c.Proxies)
	return config, err
}

// parseProxies reads addresses and networks.
func parseProxies(texts []string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for _, text := range texts {
		network, ok := parseProxy(text)
		if !ok {
			return nil, cli.Usage(triedServing, fmt.Errorf("--trusted-proxy %s is neither an address nor a network", format.Printable(text)), "give it as 10.0.0.7 or 10.0.0.0/24")
		}
		proxies = append(proxies, network)
	}
	return proxies, nil
}

// parseProxy reads an address or a network. An IPv4 address may be written as one of IPv6.
func parseProxy(text string) (network netip.Prefix, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, false
	}
	if addr := network.Addr(); addr.Is4In6() {
		const mapping = 96 // bits before the address of IPv4
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-mapping)
	}
	return network.Masked(), network.IsValid()
}

// isLoopback reports whether only this machine can reach the address. A name may mean any.
func (c *Serve) isLoopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (c *Serve) checkAddress() error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return cli.Usage(triedServing, fmt.Errorf("--listen %s is no address with a port", format.Printable(c.Listen)), "give it as 127.0.0.1:8080")
	}
	return nil
}

func (c *Serve) listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Listen)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &cli.ShownError{Tried: triedServing, Cause: fmt.Errorf("another program listens on %s", c.Listen), Next: "stop it, or pass another port with --listen"}
	default:
		return nil, &cli.ShownError{Tried: triedServing, Cause: err, Next: "pass another address with --listen"}
	}
}
