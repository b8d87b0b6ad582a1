package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
)

//go:embed static
var staticFiles embed.FS

// assets are the console's own files, by the path under which they are served. The path holds
// a digest of the content, so a browser may keep them.
type assets struct {
	Style, Script, Icon string
	byPath              map[string]asset
}

type asset struct {
	kind    string
	content []byte
}

func loadAssets() (assets, error) {
	found := assets{byPath: make(map[string]asset)}
	for _, file := range []struct {
		name, kind string
		path       *string
	}{
		{"console.css", "text/css; charset=utf-8", &found.Style},
		{"console.js", "text/javascript; charset=utf-8", &found.Script},
		{"icon.svg", "image/svg+xml", &found.Icon},
	} {
		content, err := staticFiles.ReadFile("static/" + file.name)
		if err != nil {
			return assets{}, err
		}
		sum := sha256.Sum256(content)
		*file.path = path.Join("/static", hex.EncodeToString(sum[:8]), file.name)
		found.byPath[*file.path] = asset{file.kind, content}
	}
	return found, nil
}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	file, ok := c.files.byPath[r.URL.Path]
	if !ok {
		c.fail(w, r, noPage())
		return
	}
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = w.Write(file.content) // a client that leaves needs no answer
}

func noPage() *fault {
	return &fault{
		status: http.StatusNotFound, title: "No such page", text: "The console has no page at this address.",
		next: "Begin with the records.", links: []link{{"Records", "/records"}},
	}
}
