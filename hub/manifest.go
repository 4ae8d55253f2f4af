package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A manifest says of which blobs a model of ollama's registry consists. What is read of it is checked: each digest names a file.
type manifest struct {
	Layers []layer `json:"layers"`
}

// layer is one blob.
type layer struct {
	Type   string `json:"mediaType"`
	Digest digest `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

// manifestType is what a registry is asked for.
const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// Types of layers, behind layerType. Those of safetensors are many small ones, for other programs.
const (
	layerType   = "application/vnd.ollama.image."
	modelLayer  = "model"
	eyesLayer   = "projector"
	draftLayer  = "draft"
	loraLayer   = "adapter"
	tensorLayer = "tensor"
)

type note struct{ kind, file string }

// notes are the layers of text that come with a model, in the order in which they are shown, and the names under which they are kept.
// Templates are Go's, and for information: a model's own format is what it was trained with.
var notes = []note{
	{"system", "system.txt"},
	{"params", "params.json"},
	{"messages", "messages.json"},
	{"template", "template.txt"},
	{"license", "license.txt"},
}

// Bounds of a manifest. Models of safetensors have a layer for each tensor.
const (
	maxManifest = 8 << 20 // bytes
	maxLayers   = 1 << 14
	maxNote     = 4 << 20 // bytes of a layer of text
)

// digest is the SHA-256 of a blob, 64 hexadecimal digits in lower case. In JSON it has sha256: before them.
type digest string

func (d *digest) UnmarshalText(text []byte) error {
	hex, ok := strings.CutPrefix(string(text), "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return fmt.Errorf("digest %.80q, expected sha256: and 64 hexadecimal digits in lower case", text)
	}
	*d = digest(hex)
	return nil
}

func (d digest) String() string { return "sha256:" + string(d) }

// parseManifest checks a manifest's text.
func parseManifest(text []byte) (*manifest, error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("the manifest has more than %d bytes", maxManifest)
	}
	m := new(manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("the manifest has %d layers, expected at most %d", len(m.Layers), maxLayers)
	}
	var models, tensors int
	var total int64
	for i, l := range m.Layers {
		kind := strings.TrimPrefix(l.Type, layerType)
		note := slices.ContainsFunc(notes, func(n note) bool { return n.kind == kind })
		switch {
		case l.Digest == "":
			return nil, fmt.Errorf("the manifest's layer %d has no digest", i)
		case l.Size < 0 || l.Size > maxBytes-total || l.Size == 0 && !note || l.Size > maxNote && note:
			return nil, fmt.Errorf("the manifest's layer %d, %.40q, has a size of %d bytes", i, kind, l.Size)
		}
		total += l.Size
		switch kind {
		case modelLayer:
			models++
		case tensorLayer:
			tensors++
		}
	}
	switch {
	case models == 0 && tensors > 0:
		return nil, errSafetensors
	case models == 0:
		return nil, errors.New("the manifest has no model")
	}
	return m, nil
}

// maxBytes is more than any model has.
const maxBytes = 1 << 50

// errSafetensors is the error of a model that is there in another form only.
var errSafetensors = errors.New("its weights are safetensors, for other programs, not GGUF")

// of returns the layers of one type that have something in them.
func (m *manifest) of(kind string) (all []layer) {
	for _, l := range m.Layers {
		if l.Type == layerType+kind && l.Size > 0 {
			all = append(all, l)
		}
	}
	return all
}

// files names the files that a model consists of, its own first, as they are kept.
func (m *manifest) files(tag string, with With) (all []remote) {
	add := func(r role, layers []layer, begin, end string) {
		for i, l := range layers {
			file := begin + tag + end
			switch {
			case r == modelRole && len(layers) > 1:
				file = fmt.Sprintf("%s-%05d-of-%05d.gguf", tag, i+1, len(layers))
			case i > 0: // several adapters or licences
				ext := path.Ext(end)
				file = fmt.Sprintf("%s%s%s.%d%s", begin, tag, strings.TrimSuffix(end, ext), i+1, ext)
			}
			all = append(all, remote{role: r, stored: file, entry: entry{path: file, size: l.Size, sha256: string(l.Digest)}})
		}
	}
	first := func(layers []layer) []layer { return layers[:min(1, len(layers))] }
	add(modelRole, m.of(modelLayer), "", ".gguf")
	if with.Projector {
		add(projectorRole, first(m.of(eyesLayer)), "mmproj-", ".gguf")
	}
	if with.Drafter {
		add(drafterRole, first(m.of(draftLayer)), "mtp-", ".gguf")
	}
	add(adapterRole, m.of(loraLayer), "", ".lora.gguf")
	for _, note := range notes {
		add(role(note.kind), m.of(note.kind), "", "."+note.file)
	}
	return all
}
