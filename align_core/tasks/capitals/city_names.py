"""Other names of cities: local names, older names and other spellings."""

from __future__ import annotations

_TABLE = """
Abu Dhabi | Abu Zaby; Abu Zabi
Addis Ababa | Addis Abeba; Adis Abeba; Finfinne
Algiers | Alger; El Djazair; Al Jazair; Argel; Algier
Amsterdam | Mokum
Ankara | Angora
Antananarivo | Tananarive
Ashgabat | Ashkhabad; Asgabat; Aschgabat
Asmara | Asmera
Astana | Nur-Sultan; Nursultan; Akmola; Астана
Asuncion | Asuncion del Paraguay
Athens | Athina; Athinai; Athen; Athenes; Atenas; Atene; Αθήνα
Baghdad | Bagdad; بغداد
Baku | Baki; Bakou
Bangkok | Krung Thep; Krung Thep Maha Nakhon; กรุงเทพ
Beijing | Peking; Pekin; Pechino; Beiping; 北京
Beirut | Beyrouth; Bayrut; بيروت
Belgrade | Beograd; Belgrad; Belgrado; Београд
Berlin | Berlino; Berlín
Bern | Berne; Berna
Bishkek | Biskek; Bischkek; Бишкек
Bloemfontein | Mangaung
Bogota | Santa Fe de Bogota; Bogota D.C.
Bratislava | Pressburg; Pozsony
Brussels | Bruxelles; Brussel; Bruessel; Brüssel; Bruselas
Bucharest | Bucuresti; Bukarest; Bucarest
Budapest | Buda-Pest
Buenos Aires | CABA
Cairo | Al Qahirah; Al-Qahirah; Al Qahira; Al-Qahira; El Qahira; Kairo; Le Caire; القاهرة
Cape Town | Kaapstad; iKapa
Chisinau | Kishinev; Kischinau
Ciudad de la Paz | Oyala
Copenhagen | Kobenhavn; København; Kopenhagen; Koebenhavn; Copenhague
Dakar | Ndakaru
Damascus | Dimashq; Damaskus; Damas; دمشق
Dhaka | Dacca
Djibouti | Djibouti City
Doha | Ad Dawhah
Dublin | Baile Atha Cliath; Dublino
Dushanbe | Stalinabad
Guatemala City | Ciudad de Guatemala; Nueva Guatemala
Hanoi | Ha Noi; Ha-Noi
Havana | La Habana; Habana; La Havane; Havanna
Helsinki | Helsingfors
Islamabad | اسلام آباد
Jakarta | Djakarta; DKI Jakarta; Batavia
Jerusalem | Yerushalayim; Al-Quds; Al Quds; ירושלים
Kabul | Kaboul; کابل
Kathmandu | Katmandu
Khartoum | Al Khartum; Khartum
Kinshasa | Leopoldville
Kolkata | Calcutta
Krakow | Cracow
Kuala Lumpur | KL; K.L.
Kyiv | Kiev; Kyjiv; Kijev; Kiew; Kijow; Kyyiv; Київ; Киев
Lisbon | Lisboa; Lissabon; Lisbonne; Lisbona
Ljubljana | Laibach; Lubiana
London | Londres; Londra; Londinium
Luanda | Loanda
Luxembourg | Luxembourg City; Luxemburg City; Letzebuerg
Male | Male City
Manila | Maynila; Metro Manila
Maputo | Lourenco Marques
Marrakesh | Marrakech
Mexico City | Ciudad de Mexico; CDMX; Mexico DF; Mexico D.F.; Ciudad de Mejico; Mexiko-Stadt
Minsk | Mensk; Miensk; Минск
Mogadishu | Muqdisho; Mogadiscio
Monaco | Monaco-Ville
Moscow | Moskva; Moskau; Moscou; Moscu; Mosca; Москва
Mumbai | Bombay
Muscat | Masqat; Maskat
N'Djamena | Ndjamena; Fort-Lamy; Fort Lamy
Naypyidaw | Nay Pyi Taw; Naypyitaw; Nay Pyi Daw
New Delhi | Nai Dilli; Neu-Delhi; Nueva Delhi; Nayi Dilli; नई दिल्ली
New York | New York City; NYC
Ngerulmud | Melekeok
Nicosia | Lefkosia; Lefkosa; Nikosia
Nouakchott | Nuakchot
Nuku'alofa | Nukualofa
Odesa | Odessa
Oslo | Kristiania; Christiania
Ottawa | Ottawa, Ontario
Ouagadougou | Ouaga; Wagadugu
Panama City | Ciudad de Panama; Panama-Stadt
Paris | Parigi; Parijs; Lutetia; París
Phnom Penh | Pnom Penh; Phnom-Penh
Podgorica | Titograd; Podgoritsa
Port-au-Prince | Port au Prince; Potoprens
Porto-Novo | Porto Novo
Prague | Praha; Prag; Praga
Pretoria | Tshwane; City of Tshwane
Pristina | Prishtina; Prishtine
Pyongyang | P'yongyang; Pyeongyang; 평양
Rabat | Ar-Ribat; Ar Ribat
Rio de Janeiro | Rio
Riyadh | Riad; Ar Riyad; Ar-Riyadh; الرياض
Rome | Roma; Rom
Saigon | Ho Chi Minh City
Saint George's | St. George's; St George's; Saint Georges
Saint John's | St. John's; St John's; Saint Johns
Saint Petersburg | St. Petersburg; St Petersburg
San Jose | San Jose de Costa Rica
San Marino | City of San Marino
Sanaa | Sana'a; San'a
Santiago | Santiago de Chile
Santo Domingo | Santo Domingo de Guzman
Sarajevo | Sarajewo
Seoul | Soeul; 서울
Seville | Sevilla
Skopje | Skopye; Shkup; Üsküp
Sofia | Sofiya; Sofija; Sredets; София
Sri Jayawardenepura Kotte | Kotte; Sri Jayawardenapura Kotte; Sri Jayewardenepura Kotte
Stockholm | Tukholma; Stoccolma
Sucre | Chuquisaca
Taipei | Taipei City; Taibei; Taipeh; 台北; 臺北
Tallinn | Reval; Tallin
Tarawa | South Tarawa
Tashkent | Toshkent; Taschkent; Ташкент
Tbilisi | Tiflis; T'bilisi; თბილისი
Tehran | Teheran; تهران
The Hague | Den Haag
Thimphu | Thimpu; Thimbu
Tirana | Tirane
Tokyo | Tokio; Toukyou; 東京; 东京
Tripoli | Tarabulus; Tripolis
Ulaanbaatar | Ulan Bator; Ulan Baatar; Ulaan Baatar; Улаанбаатар
Valletta | La Valletta; Il-Belt Valletta
Vatican City | Vatican; Holy See; Vatican City State
Vienna | Wien; Vienne; Viena; Becs
Vientiane | Viangchan; Vieng Chan
Vilnius | Wilna; Vilna; Wilno
Warsaw | Warszawa; Warschau; Varsovie; Varsovia; Varsavia
Washington | Washington, D.C.; Washington D.C.; Washington DC; D.C.; DC
Wellington | Te Whanganui-a-Tara; Poneke
Windhoek | Windhuk
Yangon | Rangoon
Yaounde | Jaunde; Yaunde
Yaren | Yaren District
Yerevan | Erevan; Jerewan; Երևան
Zagreb | Agram; Zagabria
"""
CITY_ALIASES: dict[str, str] = {
    name.strip(): others.strip()
    for name, others in (line.split("|") for line in _TABLE.strip().splitlines())
}
