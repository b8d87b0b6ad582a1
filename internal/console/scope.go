package console

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// visitor is where a request comes from, and whose records it may see.
type visitor struct {
	scope  audit.Scope
	client string // for the limiter
}

// admit finds out whose records a request may see. A request that does not come from a trusted
// proxy gets nothing where a header names the tenant, also with a header of its own.
func (c *Console) admit(r *http.Request) (visitor, *fault) {
	peer := peerOf(r)
	if c.config.TenantHeader == "" {
		return visitor{scope: c.config.Scope, client: clientKey(peer)}, nil
	}
	if !c.trusts(peer) {
		return visitor{client: clientKey(peer)}, &fault{
			status: http.StatusForbidden, title: "Not through the proxy",
			text: "This console takes the tenant from its proxy, and this request did not come from there.", next: "Open the address of the proxy.",
		}
	}
	from := visitor{client: forwardedKey(r, peer)}
	values := r.Header.Values(c.config.TenantHeader)
	if len(values) != 1 || values[0] == "" {
		return from, &fault{
			status: http.StatusForbidden, title: "No tenant",
			text: "The proxy did not name one tenant for this request.", next: "Sign in at the proxy again, or ask who runs it.",
		}
	}
	from.scope = audit.Tenant(values[0])
	if from.scope.Validate() != nil {
		return visitor{client: from.client}, &fault{
			status: http.StatusForbidden, title: "No tenant",
			text: "The proxy named a tenant that no record can have.", next: "Ask who runs the proxy.",
		}
	}
	return from, nil
}

func (c *Console) trusts(peer netip.Addr) bool {
	for _, prefix := range c.config.TrustedProxies {
		if prefix.Contains(peer) {
			return true
		}
	}
	return false
}

// peerOf is the address that the connection comes from. It is invalid if there is none, and
// then no proxy has it.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// forwardedKey is the client that a trusted proxy speaks for: the last address of
// X-Forwarded-For, which the proxy itself has appended. Without one all its clients count as one.
func forwardedKey(r *http.Request, proxy netip.Addr) string {
	values := r.Header.Values("X-Forwarded-For")
	if len(values) == 0 {
		return clientKey(proxy)
	}
	last := values[len(values)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	addr, err := netip.ParseAddr(last)
	if err != nil {
		return clientKey(proxy)
	}
	return clientKey(addr)
}
