package hub

// A Cache is a folder in which another program keeps models. Nothing in it is ever changed.
type Cache struct {
	Program string // "huggingface", "llama.cpp" or "ollama"
	Dir     string
}

// Caches returns the folders that the environment names, whether they are there or not.
func Caches() []Cache { return nil }

// find returns the model that a name means, if it is there whole; nil if it is not there. Companions that are there too are named. An error
// says why a model that is there cannot be used, or that the folder cannot be read.
func (c Cache) find(n name) (*Model, error) { return nil, nil }

// list returns all models that are there whole, beside what cannot be read.
func (c Cache) list() ([]Model, error) { return nil, nil }

// file returns the path of a file that has the content of e, of the repository that n names, at the revision: known by the hash or the
// commit that its name there tells, and by its size. "" if it is not there.
func (c Cache) file(n name, revision string, e entry) string { return "" }
