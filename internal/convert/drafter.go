package convert

// draft reads a drafter. Its graph is a text model's without keys and values; its embedding is but the head, since what goes in is the
// target's.
func (c *config) draft(l *loader, k *keys, name string) {
	const arch = "gemma4-assistant"
	c.readShape()
	target := c.top.size("backbone_hidden_size", 1, maxWidth)
	if c.err == nil && (c.perLayer > 0 || c.experts > 0) {
		c.words.fail("hidden_size_per_layer_input is %d and enable_moe_block %v, expected neither in a drafter", c.perLayer, c.experts > 0)
	}
	if c.err == nil && c.owners > 0 {
		c.words.fail("num_kv_shared_layers is %d, expected %d, all layers of a drafter", c.layers-c.owners, c.layers)
	}
	if c.err != nil {
		return
	}
	c.words.ignore("final_logit_softcapping", "tie_word_embeddings")
	c.parts = append(c.parts, c.words)
	k.set("general.architecture", arch)
	k.set("general.type", "model")
	k.set("general.name", name)
	k.prefix = arch + "."
	k.number("embedding_length_out", target)
	k.number("nextn_predict_layers", c.layers)
	c.setShape(k)
	k.prefix = ""

	own := l.names()
	c.ropeFreqs(l)
	head := own + "embed_tokens.weight"
	if l.has("lm_head.weight") {
		l.leave(head)
		head = "lm_head.weight"
	}
	l.take("token_embd.weight", head, form{}, c.width, c.vocabulary)
	l.take("output_norm.weight", own+"norm.weight", values, c.width)
	l.take("nextn.pre_projection.weight", "pre_projection.weight", form{}, 2*target, c.width)
	l.take("nextn.post_projection.weight", "post_projection.weight", form{}, c.width, target)
	l.leave("masked_embedding.centroids.weight", "masked_embedding.token_ordering") // clusters of the head, which is there as a whole
	for i := range c.layers {
		l.layer(layerName("blk.", i), layerName(own+"layers.", i))
		c.layer(l, i)
	}
}
