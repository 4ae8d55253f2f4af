// Package hub finds models by name: in files, in its own store, in the caches of other programs, and at hubs, from which it fetches them.
//
//	var h hub.Hub
//	m, err := h.Pull(ctx, "e2b", hub.With{Projector: true})
//	if err != nil {
//		return err
//	}
//	model, err := gemma4.Open(m.Files...)
//
// # Names
//
// A name is the first of these that fits:
//
//	gemma.gguf, ./models/gemma.gguf        a file that is there
//	e2b, e4b, 12b, 26b, 31b                a short name: Hub.Names, names.txt in the store, or the table that comes with the package
//	ollama:gemma4, ollama:gemma4:12b       a model of ollama's registry, with a tag; also ollama:[host/][namespace/]model[:tag]
//	ggml-org/gemma-4-E2B-it-GGUF           a repository of a hub that speaks Hugging Face's protocol: Q4_K_M of it, else Q8_0, else
//	                                       the first
//	ggml-org/gemma-4-E2B-it-GGUF:Q8_0      the file of it whose name has that word
//	ggml-org/gemma-4-E2B-it-GGUF:a/b.gguf  that file of it
//	owner/repo:Q8_0@v1                     the same at a branch, tag or commit; without one, main
//
// # Where models lie
//
// What is fetched lies in the store, Hub.Home: the folder that GEMMA4_HOME names, else gemma4 in XDG_DATA_HOME, which is
// ~/.local/share without it (~/Library/Application Support on macOS, %LocalAppData% on Windows). There it lies as people would put it,
// HOST/OWNER/REPO/FILE.gguf, the projector and the drafter beside the model that they are for, so that gemma4.Open finds them; a small file
// FILE.gguf.json says where it came from and what its hashes are. A file has its name only when it is complete and its bytes are those that
// the hub told.
//
// What the hub's own client, llama.cpp or ollama has fetched before is used where it is; nothing of theirs is ever changed.
package hub
