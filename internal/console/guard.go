package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// policy allows the console's own files and nothing else, and no frame around it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// setHeaders sets what every answer has. Records belong in no cache.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// visitorKey is the key of a request's visitor in its context.
type visitorKey struct{}

func visitorOf(ctx context.Context) visitor {
	from, _ := ctx.Value(visitorKey{}).(visitor)
	return from
}

// guard lets through what may be answered: GET and HEAD, for a host of ours, by a client with
// the token, within the rate, with a scope.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		defer c.recovered(w, r)
		from, unscoped := c.admit(r)
		if wrong := c.refused(w, r, from); wrong != nil {
			c.fail(w, r, wrong)
			return
		}
		if unscoped != nil {
			c.fail(w, r, unscoped)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, from)))
	})
}

// refused is what a request is refused for before its scope matters.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, from visitor) *fault {
	if !c.isOurHost(r.Host) {
		return &fault{
			status: http.StatusMisdirectedRequest, title: "Unknown host",
			text: "The console does not answer under this name.", next: "Open it by localhost, or start it with --host for the name that you use.",
		}
	}
	if isByOtherSite(r.Header) {
		return &fault{
			status: http.StatusForbidden, title: "Asked by another site",
			text: "A page of another site asked for this in the background.", next: "Open the address itself.",
		}
	}
	if ok, wait := c.limiter.allow(from.client, time.Now()); !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return &fault{
			status: http.StatusTooManyRequests, title: "Too many requests",
			text: "This client asks more often than the console answers.", next: "Wait a moment, then load the page again.",
		}
	}
	if !c.hasToken(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="coordaudit", charset="UTF-8"`)
		return &fault{
			status: http.StatusUnauthorized, title: "No token",
			text: "This console asks for its token.", next: "Give it as the password, with any user name, or as Authorization: Bearer.",
		}
	}
	if !isReading(r) {
		w.Header().Set("Allow", "GET, HEAD")
		return &fault{
			status: http.StatusMethodNotAllowed, title: "Read only",
			text: "The console only reads.", next: "Use GET or HEAD.",
		}
	}
	return nil
}

func isReading(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// isByOtherSite reports what a page of another site asks for by itself, such as an image or a
// frame. It could not read the answer, but it could use up the slots of the live tail and the rate of
// this machine. A link that is followed may come from anywhere. Programs do not send these headers.
func isByOtherSite(h http.Header) bool {
	switch h.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	default:
		return h.Get("Sec-Fetch-Mode") != "navigate" || h.Get("Sec-Fetch-Dest") != "document"
	}
}

// hasToken compares digests, so that the time tells nothing about the token, nor its length.
func (c *Console) hasToken(r *http.Request) bool {
	if c.config.Token == "" {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		_, given, _ = r.BasicAuth()
	}
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], c.token[:]) == 1
}

// isOurHost checks the name under which a browser found the console. A page of another site
// can point its own name at this address, and its scripts would then read the answers.
func (c *Console) isOurHost(host string) bool {
	if !c.config.Loopback && len(c.config.Hosts) == 0 {
		return true
	}
	name := host
	if without, _, err := net.SplitHostPort(host); err == nil {
		name = without
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if slices.ContainsFunc(c.config.Hosts, func(own string) bool { return strings.EqualFold(own, name) }) {
		return true
	}
	if !c.config.Loopback {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}

// recovered answers a request whose handler failed in a way that it should not. The log names
// the kind of the failure alone, since its text may hold a record's.
func (c *Console) recovered(w http.ResponseWriter, r *http.Request) {
	failure := recover()
	if failure == nil {
		return
	}
	c.config.Logger.LogAttrs(r.Context(), slog.LevelError, "coordination_console_failed", slog.String("route", r.Pattern), slog.String("kind", fmt.Sprintf("%T", failure)))
	c.fail(w, r, &fault{
		status: http.StatusInternalServerError, title: "The console failed",
		text: "This is a fault of the console.", next: "Load the page again. If it comes back, report it with the time.",
	})
}
