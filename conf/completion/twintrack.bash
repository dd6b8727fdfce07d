# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of twintrack(8); `make install` puts it where bash-completion looks.

_twintrack_tables="conntrack expect dying unconfirmed internal external internal-expect external-expect"

# The long options of conntrack(8)'s part; of the protocol that -p names, too.
_twintrack_options() {
	local options="--dump --get --create --add --update --delete --event --flush --count --stats --load-file --help --version
		--src --orig-src --dst --orig-dst --reply-src --reply-dst --mask-src --mask-dst --tuple-src --tuple-dst --protonum --proto
		--family --mark --status --src-nat --dst-nat --any-nat --zone --orig-zone --reply-zone --label --label-add --label-del
		--labelmap --id --timeout --secmark --output --zero --event-mask --buffer-size --peer --socket"
	local ports="--sport --dport --orig-port-src --orig-port-dst --reply-port-src --reply-port-dst --mask-port-src --mask-port-dst
		--tuple-port-src --tuple-port-dst"
	case " ${COMP_WORDS[*]} " in
	*" tcp "*) options="$options $ports --state" ;;
	*" udp "* | *" udplite "*) options="$options $ports" ;;
	*" sctp "*) options="$options $ports --state --orig-vtag --reply-vtag" ;;
	*" dccp "*) options="$options $ports --state --role" ;;
	*" icmp "*) options="$options --icmp-type --icmp-code --icmp-id" ;;
	*" icmpv6 "*) options="$options --icmpv6-type --icmpv6-code --icmpv6-id" ;;
	*" gre "*) options="$options --srckey --dstkey --orig-key-src --orig-key-dst --reply-key-src --reply-key-dst --mask-key-src
		--mask-key-dst --tuple-key-src --tuple-key-dst" ;;
	esac
	echo "$options"
}

# What may follow the word before; nothing: an option.
_twintrack_values() {
	case $1 in
	-L | -G | -D | -I | -E | -F | -C | -S | --dump | --get | --delete | --create | --event | --flush | --count | --stats) echo "$_twintrack_tables" ;;
	-p | --proto | --protonum) echo "tcp udp udplite sctp dccp icmp icmpv6 gre" ;;
	-f | --family) echo "ipv4 ipv6" ;;
	-u | --status) echo "ASSURED SEEN_REPLY UNREPLIED FIXED_TIMEOUT EXPECTED OFFLOAD HW_OFFLOAD UNSET" ;;
	-e | --event-mask) echo "ALL NEW UPDATES DESTROY" ;;
	-o | --output) echo "extended id timestamp ktimestamp labels userspace xml save json" ;;
	--role) echo "client server" ;;
	--state) echo "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE" ;;
	esac
}

# The options of a verb.
_twintrack_verb() {
	case $1 in
	status | primary | backup | fault | commit | reload) echo "--json" ;;
	top) echo "--interval --once" ;;
	resync) echo "--peer --json" ;;
	flush) echo "internal external kernel --json" ;;
	health) echo "--strict" ;;
	wait-synced) echo "--timeout --peers" ;;
	import-config) echo "--id" ;;
	exporter) echo "--listen" ;;
	metrics) echo "--textfile" ;;
	esac
}

_twintrack() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words verb
	verb=${COMP_WORDS[1]}
	words=$(_twintrack_values "$before")
	if [ -z "$words" ]; then
		if [ "$COMP_CWORD" -eq 1 ] && [[ $word != -* ]]; then
			words="status top primary backup fault commit resync flush health wait-synced metrics exporter verify reload genkey check-config import-config version"
		elif [[ $verb == -* ]]; then
			words=$(_twintrack_options)
		else
			words="$(_twintrack_verb "$verb") --help"
		fi
	fi
	COMPREPLY=()
	[[ $word == -* ]] && before=
	case "$before $verb" in
	"-R "* | "--load-file "* | "--labelmap "* | "genkey genkey" | "check-config check-config" | "import-config import-config" | "--socket "*)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _twintrack twintrack
