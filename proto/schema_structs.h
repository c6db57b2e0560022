/* schema_structs.h - read before a .def: turns it into C structs and declares their descriptors. */
#define KT_STRUCT(name_, sentence_)                                                                \
	extern const struct kt_schema kt_schema_##name_;                                           \
	struct kt_msg_##name_ {
#define KT_END(name_)						    };
#define KT_BOOL(in_, key_, name_, need_, sentence_)		    bool name_;
#define KT_U64(in_, key_, name_, need_, min_, max_, sentence_)	    uint64_t name_;
#define KT_I64(in_, key_, name_, need_, min_, max_, sentence_)	    int64_t name_;
#define KT_F64(in_, key_, name_, need_, sentence_)		    double name_;
#define KT_STR(in_, key_, name_, need_, max_, sentence_)	    const char *name_;
#define KT_BIN(in_, key_, name_, need_, max_, sentence_)	    struct kt_bin name_;
#define KT_DIGEST(in_, key_, name_, need_, sentence_)		    struct kt_bin name_;
#define KT_VALUE(in_, key_, name_, need_, sentence_)		    struct kt_value name_;
#define KT_ONE(in_, key_, name_, need_, of_, sentence_)		    struct kt_msg_##of_ *name_;
#define KT_LIST(in_, key_, name_, need_, of_, max_, sentence_)                                     \
	struct kt_msg_##of_ *name_;                                                                \
	size_t n_##name_;
