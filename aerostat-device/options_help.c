/* SPDX-License-Identifier: BSD-3-Clause */
/* What --help and --print-capabilities print, from the tables. */
#include "aerostat-device/options.h"

#include "common/size_core.h"
#include "io/json_writer.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void print_option_rows(FILE *out)
{
	for (size_t i = 0; i < device_options_count; i++) {
		const struct option_row *row = &device_options_table[i];
		char words[40];

		snprintf(words, sizeof(words), "%s%s%s", row->name, row->argument ? "=" : "",
			 row->argument ? row->argument : "");
		fprintf(out, "  %-22s %s\n", words, row->help);
	}
	fputs("\nFeatures (* offered unless --features says otherwise):\n", out);
	for (size_t i = 0; i < balloon_feature_count; i++)
		fprintf(out, "  %c %-20s %s\n", balloon_features[i].by_default ? '*' : ' ',
			balloon_features[i].name, balloon_features[i].help);
}

void device_options_help(FILE *out)
{
	fputs("Usage:\n"
	      "  aerostat-device --socket-path=PATH --control=PATH [OPTIONS]\n"
	      "\n"
	      "A virtio balloon device in a process of its own: moves memory of a running guest\n"
	      "to the host and back.  Start it before the VMM, which connects to it.\n"
	      "\n"
	      "Options:\n",
	      out);
	print_option_rows(out);
	fputs("\n"
	      "Sizes are written like " SIZE_FORMS ".\n"
	      "\n"
	      "Examples:\n"
	      "  aerostat-device --socket-path=/run/vms/web.sock --control=/run/vms/web.qmp &\n"
	      "  qemu-system-x86_64 -accel kvm -m 4G \\\n"
	      "    -object memory-backend-memfd,id=ram,size=4G,share=on -machine "
	      "q35,memory-backend=ram \\\n"
	      "    -device '{\"driver\": \"vfio-user-pci\", \"x-msg-timeout\": 60000,\n"
	      "              \"socket\": {\"type\": \"unix\", \"path\": \"/run/vms/web.sock\"}}'\n"
	      "  aerostat setmem qmp:/run/vms/web.qmp 2G\n"
	      "\n"
	      "  cloud-hypervisor --memory size=4G,shared=on --user-device "
	      "socket=/run/vms/web.sock …\n"
	      "\n"
	      "  aerostat-device --protocol=vhost-user --socket-path=/run/vms/web.sock &\n"
	      "  crosvm run --vhost-user balloon,socket=/run/vms/web.sock …\n"
	      "\n"
	      "Exit codes:\n"
	      "  0  success: the VMM has disconnected, or a signal or quit ended the process\n"
	      "  1  failure; the last line on standard error says why\n"
	      "  2  invalid command line\n",
	      out);
}

static void write_feature_names(struct json_writer *out, const char *key, bool default_only)
{
	json_write_open(out, key, '[');
	for (size_t i = 0; i < balloon_feature_count; i++)
		if (!default_only || balloon_features[i].by_default)
			json_write_string(out, NULL, balloon_features[i].name);
	json_write_close(out, ']');
}

/* What a user who can choose the guest's memory should know about each backing. */
static void write_backings(struct json_writer *out)
{
	static const struct {
		enum memory_backing backing;
		const char *note;
	} rows[] = {
		{ MEMORY_SHMEM, "memfd or tmpfs: every page is released; huge pages only where the "
				"host's shmem_enabled or the mount allows them" },
		{ MEMORY_HUGETLB, "a huge page is released once all of it is ballooned" },
		{ MEMORY_FILE, "released if the file system can punch holes" },
	};

	json_write_open(out, "backings", '[');
	for (size_t i = 0; i < LENGTH(rows); i++) {
		json_write_open(out, NULL, '{');
		json_write_string(out, "name", memory_backing_name(rows[i].backing));
		json_write_string(out, "note", rows[i].note);
		json_write_close(out, '}');
	}
	json_write_close(out, ']');
}

void device_options_capabilities(FILE *out)
{
	char text[4096];
	struct json_writer json;

	json_writer_init(&json, text, sizeof(text));
	json_write_open(&json, NULL, '{');
	json_write_string(&json, "type", "balloon");
	json_write_string(&json, "version", AEROSTAT_VERSION);
	write_feature_names(&json, "features", false);
	write_feature_names(&json, "default-features", true);
	json_write_open(&json, "protocols", '[');
	for (size_t i = 0; i < device_protocol_count; i++)
		json_write_string(&json, NULL, device_protocols[i]->name);
	json_write_close(&json, ']');
	write_backings(&json);
	json_write_close(&json, '}');
	fwrite(text, 1, json.length, out);
	fputc('\n', out);
}
