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
// ollama:hf.co/OWNER/REPO:WORD is the same as OWNER/REPO:WORD. Of ollama's registry only models in GGUF can be taken, not those in
// safetensors, and only public ones: what belongs to a user there is fetched by ollama, and then found in its folder. Parts, projector and
// drafter of a model are called by its tag, 12b.gguf, mmproj-12b.gguf and mtp-12b.gguf; texts and adapters that come with it are in
// Model.Notes and Model.Adapters.
//
// # Where models lie
//
// What is fetched lies in the store, Hub.Home: the folder that GEMMA4_HOME names, else gemma4 in XDG_DATA_HOME, which is
// ~/.local/share without it (~/Library/Application Support on macOS, %LocalAppData% on Windows). There it lies as people would put it,
// HOST/OWNER/REPO/FILE.gguf, the projector and the drafter beside the model that they are for, so that gemma4.Open finds them; a small file
// FILE.gguf.json says where it came from and what its hashes are. A file has its name only when it is complete and its bytes are those that
// the hub told.
//
// # Models of other programs
//
// What other programs have fetched before is used where it is. Nothing of theirs is ever changed, moved or removed.
//
//	huggingface  HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub
//	llama.cpp    LLAMA_CACHE in either of its layouts, else ~/.cache/llama.cpp (macOS ~/Library/Caches, Windows %LocalAppData%)
//	lmstudio     ~/.lmstudio/models, and where it was before, ~/.cache/lm-studio/models
//	ollama       OLLAMA_MODELS, else ~/.ollama/models; on Linux also /usr/share/ollama/.ollama/models, of the service, if that is readable
//
// [Hub.Find] takes from there what has the name that is asked for, if it begins as GGUF does and is as long as its manifest or its own head
// says. [Hub.Pull], which knows the hashes, takes what has the same commit or the same hash.
package hub
