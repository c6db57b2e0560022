/* schema_tables.h - read before a .def: turns it into the descriptors that schema_structs.h declared. */
#define KT_NEED_MUST true
#define KT_NEED_MAY  false
#define KT_AT(in_, name_) offsetof(struct kt_msg_##in_, name_)
#define KT_STRUCT(name_, sentence_)                                                                \
	static const char sentence_of_##name_[] = sentence_;                                       \
	static const struct kt_field fields_of_##name_[] = {
#define KT_BOOL(in_, key_, name_, need_, sentence_)                                                \
	{ key_, #name_, KT_FIELD_BOOL, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, 1, NULL, sentence_ },
#define KT_U64(in_, key_, name_, need_, min_, max_, sentence_)                                     \
	{ key_, #name_, KT_FIELD_U64, KT_NEED_##need_, KT_AT(in_, name_), 0, min_, max_, NULL, sentence_ },
#define KT_I64(in_, key_, name_, need_, min_, max_, sentence_)                                     \
	{ key_, #name_, KT_FIELD_I64, KT_NEED_##need_, KT_AT(in_, name_), 0, (uint64_t)(min_),      \
	  (uint64_t)(max_), NULL, sentence_ },
#define KT_F64(in_, key_, name_, need_, sentence_)                                                 \
	{ key_, #name_, KT_FIELD_F64, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, 0, NULL, sentence_ },
#define KT_STR(in_, key_, name_, need_, max_, sentence_)                                           \
	{ key_, #name_, KT_FIELD_STR, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, max_, NULL, sentence_ },
#define KT_BIN(in_, key_, name_, need_, max_, sentence_)                                           \
	{ key_, #name_, KT_FIELD_BIN, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, max_, NULL, sentence_ },
#define KT_DIGEST(in_, key_, name_, need_, sentence_)                                              \
	{ key_, #name_, KT_FIELD_BIN, KT_NEED_##need_, KT_AT(in_, name_), 0, KT_DIGEST_BYTES,       \
	  KT_DIGEST_BYTES, NULL, sentence_ },
#define KT_VALUE(in_, key_, name_, need_, sentence_)                                               \
	{ key_, #name_, KT_FIELD_VALUE, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, 0, NULL, sentence_ },
#define KT_ONE(in_, key_, name_, need_, of_, sentence_)                                            \
	{ key_, #name_, KT_FIELD_ONE, KT_NEED_##need_, KT_AT(in_, name_), 0, 0, 1,                  \
	  &kt_schema_##of_, sentence_ },
#define KT_LIST(in_, key_, name_, need_, of_, max_, sentence_)                                     \
	{ key_, #name_, KT_FIELD_LIST, KT_NEED_##need_, KT_AT(in_, name_),                          \
	  KT_AT(in_, n_##name_), 0, max_, &kt_schema_##of_, sentence_ },
#define KT_END(name_)                                                                              \
	};                                                                                         \
	const struct kt_schema kt_schema_##name_ = {                                               \
		#name_, sizeof(struct kt_msg_##name_), fields_of_##name_,                          \
		sizeof(fields_of_##name_) / sizeof(fields_of_##name_[0]), sentence_of_##name_      \
	};
