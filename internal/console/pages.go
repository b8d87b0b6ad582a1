package console

import (
	"bytes"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

//go:embed templates/*.html.tmpl
var templateFiles embed.FS

// pages are the templates of the pages by name. Each has the layout of its own.
type pages map[string]*template.Template

// shared are the templates that pages have in common.
const sharedTemplates = "templates/layout.html.tmpl templates/parts.html.tmpl"

func parsePages() (pages, error) {
	functions := template.FuncMap{
		"shown": shown, "clipped": clipped, "number": format.Thousands, "plural": format.Plural, "stamp": stamp, "machine": format.Machine,
		"key": format.ClassKey, "verdict": format.DecisionKey, "tenant": format.Tenant, "other": otherEnvelope,
		"recordURL": recordURL, "timelineURL": timelineURL, "percent": format.Percent, "first": firstID,
	}
	layout, err := template.New("layout").Funcs(functions).ParseFS(templateFiles, strings.Fields(sharedTemplates)...)
	if err != nil {
		return nil, err
	}
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	parsed := make(pages)
	for _, file := range files {
		name := "templates/" + file.Name()
		if strings.Contains(sharedTemplates, name) {
			continue
		}
		page, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(templateFiles, name); err != nil {
			return nil, err
		}
		parsed[strings.TrimSuffix(path.Base(name), ".html.tmpl")] = page
	}
	return parsed, nil
}

// view is what a page shows.
type view struct {
	Title string
	Data  any
}

// layout is what the templates read.
type layout struct {
	view

	Page  string
	Nav   []navItem
	Scope string // empty if there is none
	Style string
	Code  string
	Icon  string
}

type navItem struct {
	Text, Href string
	Current    bool
}

func navigation(page string) []navItem {
	items := []navItem{
		{Text: "Records", Href: "/records"},
		{Text: "Live", Href: "/live"},
		{Text: "Timeline", Href: "/timeline"},
		{Text: "Signals", Href: "/signals"},
		{Text: "Completeness", Href: "/completeness"},
		{Text: "Seal", Href: "/seal"},
	}
	for i := range items {
		items[i].Current = items[i].Href == "/"+page
	}
	return items
}

// render writes a page. It is made whole before a byte of it is sent, so that a page is never
// cut off in the middle by a fault.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	from := visitorOf(r.Context())
	page := layout{view: v, Page: name, Nav: navigation(name), Style: c.files.Style, Code: c.files.Script, Icon: c.files.Icon}
	if from.scope.Validate() == nil {
		page.Scope = from.scope.String()
	}
	var body bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&body, "layout", page); err != nil {
		c.config.Logger.LogAttrs(r.Context(), slog.LevelError, "coordination_console_failed", slog.String("route", r.Pattern), slog.String("kind", "template "+name))
		http.Error(w, "The console failed to make this page.", http.StatusInternalServerError)
		return
	}
	writeSoon(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a client that leaves needs no answer
	}
}
